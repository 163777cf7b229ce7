//! What goes wrong around the sensor: each gets a message that says what to do, the right exit status, and costs
//! nothing else.

mod engine_failures;
mod host_failures;
mod output_failures;
mod rule_failures;
mod rule_files;
mod state_failures;

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Result;
use tests::image::{FENCE, place_stand_in};
use tests::program::run;
use tests::sensor::{Home, Sensor};

/// Puts the fence program where the host can run it.
fn fence_on_host(home: &Home) -> Result<PathBuf> {
    let fence = home.path().join(FENCE);
    place_stand_in(&fence)?;
    Ok(fence)
}

/// That events on the host still lead to alerts.
fn assert_still_alerting(sensor: &Sensor, fence: &Path) -> Result<()> {
    sensor.fence(|number| {
        run(Command::new(fence).arg(number))?;
        Ok(())
    })?;
    Ok(())
}
