//! End to end: the real `tidewaiter` on this kernel, with real containers.

mod arguments;
mod attacks;
mod bad_input;
mod confinement;
mod containers;
mod documented;
mod hostile;
mod identity;
mod interactive;
mod lineage;
mod losses;
mod metrics;
mod names;
mod new_terms;
mod node;
mod ordinary;
mod reference;
mod replay;
mod techniques;

use tests::document::Document;

/// The stock rules.
const SHELL: &str = "Interactive shell opened in a container";
const INSTALLATION: &str = "Tool installed by hand in a container";
const NEW_PROCESS: &str = "Program new to interactive sessions in containers";

/// An alert in short, so that a whole list can be compared and read.
fn describe(alert: &Document) -> String {
    let text = |field| alert.text(field);
    format!(
        "{}: {} in {} of {}:{}",
        alert.rule(),
        text("process.name"),
        text("container.name"),
        text("container.image.name"),
        text("container.image.tag")
    )
}

/// The alerts of one container, in short and sorted: which of two rules fires first on an event does not matter.
fn described(alerts: &[Document], container_id: &str) -> Vec<String> {
    let own = alerts.iter().filter(|alert| alert.text("container.id") == container_id);
    let mut described: Vec<String> = own.map(describe).collect();
    described.sort();
    described
}
