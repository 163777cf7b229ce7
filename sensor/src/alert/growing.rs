//! Alerts that grow: what is new after one, in its group, is told as an amendment of it.
//!
//! Growths come from the rule engine, each with all that was new until then; here the alerts are kept that they belong to.
//! One that had to give way for others is followed by an alert of its own, of the first event that it suppressed.

use std::collections::HashMap;
use std::sync::Arc;

use super::document::Alert;
use super::event::owner;

/// Alerts that are kept, and the memory that they may take.
const KEPT_AT_MOST: usize = 1024;
const KEPT_BYTES: usize = 4 * 1024 * 1024;

/// The alerts that may grow yet.
#[derive(Default)]
pub(crate) struct GrowingAlerts {
    kept: HashMap<Name, Kept>,
    bytes: usize,
    next: u64,
}

/// The rule's id and the alert's number.
type Name = (String, u64);

struct Kept {
    alert: Alert,
    bytes: usize,
    place: u64,
    /// The outermost container that it is about; empty for the host.
    owner: Arc<str>,
}

impl GrowingAlerts {
    /// Keeps an alert if it may grow, and makes of a growth the alert with what it has grown by. Where there is no room, the
    /// oldest alert of the container with the most gives way.
    pub(crate) fn follow(&mut self, alert: Alert) -> Alert {
        if alert.growth.is_some() {
            return self.grow(alert);
        }
        if let Some(number) = alert.number {
            let owner = owner(&alert.event).into();
            self.insert((alert.rule.rule_id.clone(), number), alert.clone(), owner);
        }
        alert
    }

    fn insert(&mut self, name: Name, alert: Alert, owner: Arc<str>) {
        let bytes = alert.memory_alone();
        let place = self.next;
        self.next += 1;
        self.bytes += bytes;
        let kept = Kept {
            alert,
            bytes,
            place,
            owner,
        };
        let replaced = self.kept.insert(name, kept);
        self.bytes -= replaced.map_or(0, |replaced| replaced.bytes);
        while self.kept.len() > KEPT_AT_MOST || self.bytes > KEPT_BYTES {
            self.give_up();
        }
    }

    fn give_up(&mut self) {
        let mut owners: HashMap<&str, (usize, u64)> = HashMap::new();
        for kept in self.kept.values() {
            let (bytes, oldest) = owners.entry(&kept.owner).or_insert((0, u64::MAX));
            *bytes += kept.bytes;
            *oldest = kept.place.min(*oldest);
        }
        let largest = owners.values().max();
        let Some((_, oldest)) = largest.copied() else { return };
        self.kept.retain(|_, kept| kept.place != oldest);
        self.bytes = self.kept.values().map(|kept| kept.bytes).sum();
    }

    /// `told` stands for the alert if that is not kept.
    fn grow(&mut self, told: Alert) -> Alert {
        let Some(growth) = &told.growth else { return told };
        let (number, owner) = (growth.alert, growth.owner.as_str().into());
        let name = (told.rule.rule_id.clone(), number);
        let before = match self.kept.get(&name) {
            Some(kept) => Alert {
                is_amendment: true,
                ..kept.alert.clone()
            },
            None => told.clone(),
        };
        let grown = Alert {
            number: Some(number),
            growth: told.growth,
            ..before
        };
        self.insert(name, grown.clone(), owner);
        grown
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::alert::sample::growing;
    use crate::alert::{ALERT_ID, AMENDMENT};
    use crate::text::document::Document;

    /// Of the alert: its own new terms, and those since with how many there were.
    fn told(document: &Document) -> (Value, Value, Value) {
        let get = |field: &str| document.get(field).cloned().unwrap_or_default();
        let suppressed = get("tidewaiter.suppressed_events");
        let since = suppressed.as_array().into_iter().flatten();
        let since: Vec<Value> = since.map(|event| event["kibana.alert.new_terms"][0].clone()).collect();
        (
            get("kibana.alert.new_terms"),
            since.into(),
            get("kibana.alert.suppression.docs_count"),
        )
    }

    #[test]
    fn an_alert_is_repeated_with_all_that_is_new_since() {
        let mut kept = GrowingAlerts::default();
        let alerts = growing("c1", &["a", "b", "c", "d", "e"]).into_iter();
        let documents: Vec<Document> = alerts.map(|alert| kept.follow(alert).into_document()).collect();
        let expected = [
            (json!([]), 0),
            (json!(["b"]), 1),
            (json!(["b", "c", "d"]), 3),
            (json!(["b", "c", "d", "e"]), 4),
        ];
        assert_eq!(
            documents.iter().map(told).collect::<Vec<_>>(),
            expected.map(|(since, count)| (json!(["a"]), since, json!(count)))
        );
        for (document, second) in documents.iter().zip([0, 1, 3, 4]) {
            assert_eq!(document[ALERT_ID], documents[0][ALERT_ID]);
            assert_eq!(document["process"]["name"], "a");
            assert_eq!(document.get(AMENDMENT), (second > 0).then_some(&json!(true)));
            let time = |second| format!("1970-01-01T00:00:0{second}.000Z");
            assert_eq!(document["kibana.alert.suppression.start"], time(0));
            assert_eq!(document["kibana.alert.suppression.end"], time(second));
        }
        let last = &documents[3];
        assert_eq!(last["tidewaiter.suppressed_events"][3]["process"]["entity_id"], "c1-4");
        assert!(
            last["kibana.alert.reason"]
                .as_str()
                .is_some_and(|reason| reason.contains("with the new terms `a b c d e`")),
            "{last:?}"
        );
    }

    #[test]
    fn a_container_with_very_many_alerts_pushes_out_its_own() {
        let mut kept = GrowingAlerts::default();
        let [first, then, ..] = &growing("c1", &["a", "b"])[..] else {
            panic!("an alert grows")
        };
        kept.follow(first.clone());
        let mut flooding = growing("c2", &["x", "y", "z", "z2"]);
        for number in 1..=KEPT_AT_MOST as u64 + 1 {
            flooding[0].number = Some(number);
            kept.follow(flooding[0].clone());
        }
        for growth in flooding.iter_mut().filter_map(|alert| alert.growth.as_mut()) {
            growth.alert = 1;
        }
        assert!(kept.kept.len() <= KEPT_AT_MOST && kept.bytes <= KEPT_BYTES);
        let of_first = kept.follow(then.clone()).into_document();
        assert_eq!(told(&of_first), (json!(["a"]), json!(["b"]), json!(1)));
        // Its own stands for the one that is gone, and grows like it.
        let instead = kept.follow(flooding.remove(1)).into_document();
        assert_eq!(told(&instead).0, json!(["y"]));
        assert_eq!(
            (instead.get(AMENDMENT), &instead["container"]["id"]),
            (None, &json!("c2"))
        );
        let later = kept.follow(flooding.remove(1)).into_document();
        assert_eq!(later[ALERT_ID], instead[ALERT_ID]);
        assert_eq!((&later[AMENDMENT], told(&later).2), (&json!(true), json!(3)));
    }
}
