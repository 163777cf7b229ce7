//! The judge of sequences: what Elastic's batch algorithm finds among all events, whatever came of each when it came.

/// Elastic's batch algorithm for one key, written from its description: stage after stage over all events; an event
/// takes the newest sequence before it and drops the older ones, and what an `until` or maxspan spoils is used up.
pub(crate) fn batch(events: &[(i64, char)], stages: &[char], span: Option<i64>, until: char) -> Vec<Vec<usize>> {
    let mut waiting: Vec<Vec<usize>> = Vec::new();
    for (number, stage) in stages.iter().enumerate() {
        let mut reached = Vec::new();
        for (position, (time, _)) in events.iter().enumerate().filter(|(_, (_, kind))| kind == stage) {
            if number == 0 {
                reached.push(vec![position]);
                continue;
            }
            let earlier = waiting
                .iter()
                .take_while(|sequence| sequence[number - 1] < position)
                .count();
            let Some(mut sequence) = waiting.drain(..earlier).next_back() else {
                continue;
            };
            let spoiled = events[sequence[number - 1]..position]
                .iter()
                .any(|(_, kind)| *kind == until);
            if !spoiled && span.is_none_or(|span| time - events[sequence[0]].0 <= span) {
                sequence.push(position);
                reached.push(sequence);
            }
        }
        waiting = reached;
    }
    waiting
}

/// What Elastic's algorithm leaves of complete sequences: between two of their events no unwanted one came, and if
/// there must be none before or behind them, none came there, or they are too far apart.
pub(crate) fn without_unwanted(
    found: Vec<Vec<usize>>,
    events: &[(i64, char)],
    missing: &[Option<char>],
    span: i64,
) -> Vec<Vec<usize>> {
    let unwanted_times = |kind: Option<char>| -> Vec<i64> {
        let same = events.iter().filter(|(_, other)| Some(*other) == kind);
        same.map(|(time, _)| *time).collect()
    };
    let is_kept = |sequence: &Vec<usize>| {
        let times: Vec<i64> = sequence.iter().map(|position| events[*position].0).collect();
        let (first, last) = (times[0], times[times.len() - 1]);
        let between = (1..times.len()).any(|place| {
            let mut unwanted = unwanted_times(missing[place]).into_iter();
            unwanted.any(|time| times[place - 1] < time && time < times[place])
        });
        let (before, behind) = (missing[0], missing[times.len()]);
        let from = match before {
            None => Some(first),
            Some(_) => unwanted_times(before).into_iter().filter(|time| *time < first).max(),
        };
        let to = match behind {
            None => Some(last),
            Some(_) => unwanted_times(behind).into_iter().filter(|time| *time > last).min(),
        };
        let around = (before.is_some() || behind.is_some()) && from.zip(to).is_some_and(|(from, to)| to - from <= span);
        !between && !around
    };
    found.into_iter().filter(is_kept).collect()
}
