//! How far a long recording is, in one line on a terminal.

use std::fmt::Write;
use std::io::{self, IsTerminal};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};

/// How long a recording may take before it shows how far it is, and how often a second it then does.
const SHOWN_AFTER: Duration = Duration::from_secs(2);
const REFRESHES_PER_SECOND: u8 = 2;

/// The line, which is there after a while.
pub(crate) struct Progress {
    started: Instant,
    bar: ProgressBar,
}

impl Progress {
    /// A line for an input of so many bytes, where that is known; none at all unless stderr alone is a terminal.
    pub(crate) fn new(input_bytes: Option<u64>) -> Self {
        let target = if io::stderr().is_terminal() && !io::stdout().is_terminal() {
            ProgressDrawTarget::stderr_with_hz(REFRESHES_PER_SECOND)
        } else {
            ProgressDrawTarget::hidden()
        };
        Progress {
            started: Instant::now(),
            bar: bar(input_bytes, target),
        }
    }

    /// Shows the numbers, if it is time.
    pub(crate) fn update(&self, bytes: u64, events: u64) {
        let elapsed = self.started.elapsed();
        if elapsed >= SHOWN_AFTER && !self.bar.is_hidden() {
            let per_second = events as f64 / elapsed.as_secs_f64();
            self.bar.set_position(bytes);
            self.bar
                .set_message(format!("{events} events, {per_second:.0} events/s"));
        }
    }

    /// Takes the line away.
    pub(crate) fn clear(&self) {
        self.bar.finish_and_clear();
    }
}

fn bar(input_bytes: Option<u64>, target: ProgressDrawTarget) -> ProgressBar {
    let template = match input_bytes {
        Some(_) => "[{bar:20}] {done:>3} %, {msg}",
        None => "{msg}",
    };
    // Without a length there would be 100 % of an empty input before it is read.
    let bar = ProgressBar::with_draw_target(input_bytes.map(|bytes| bytes.max(1)), target);
    match ProgressStyle::with_template(template) {
        Ok(style) => bar.with_style(style.progress_chars("=  ").with_key("done", write_percent)),
        Err(_) => bar,
    }
}

/// Rounded down, so that 100 % is when all is done.
fn write_percent(state: &ProgressState, out: &mut dyn Write) {
    let percent = state.pos().saturating_mul(100) / state.len().unwrap_or(1).max(1);
    // What cannot be drawn is left out.
    let _ = write!(out, "{}", percent.min(100));
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use indicatif::TermLike;

    use super::*;

    /// The text of a terminal's one line.
    #[derive(Clone, Debug, Default)]
    struct Line(Arc<Mutex<String>>);

    impl TermLike for Line {
        fn width(&self) -> u16 {
            80
        }

        fn move_cursor_up(&self, _: usize) -> io::Result<()> {
            Ok(())
        }

        fn move_cursor_down(&self, _: usize) -> io::Result<()> {
            Ok(())
        }

        fn move_cursor_right(&self, _: usize) -> io::Result<()> {
            Ok(())
        }

        fn move_cursor_left(&self, _: usize) -> io::Result<()> {
            Ok(())
        }

        fn write_line(&self, text: &str) -> io::Result<()> {
            self.write_str(text)
        }

        fn write_str(&self, text: &str) -> io::Result<()> {
            self.0.lock().unwrap().push_str(text);
            Ok(())
        }

        fn clear_line(&self) -> io::Result<()> {
            self.0.lock().unwrap().clear();
            Ok(())
        }

        fn flush(&self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn the_bar_fills_up() {
        for (done, whole, expected) in [
            (0, 0, "[                    ]   0 %, 7 events"),
            (299, 1_000, "[=====               ]  29 %, 7 events"),
            (12, 10, "[====================] 100 %, 7 events"),
        ] {
            let line = Line::default();
            let bar = bar(Some(whole), ProgressDrawTarget::term_like(Box::new(line.clone())));
            bar.set_position(done);
            bar.set_message("7 events");
            bar.force_draw();
            assert_eq!(line.0.lock().unwrap().trim_end(), expected);
            bar.finish_and_clear();
            assert_eq!(line.0.lock().unwrap().trim_end(), "");
        }
    }
}
