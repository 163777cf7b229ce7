//! What tests parse rules with.

use std::sync::LazyLock;

use crate::language::ParseOptions;
use crate::record::Producer;
use crate::rule::{self, ParsedFile};
use crate::schema::Schema;

include!("../tests/data/options.rs");

pub(crate) static OPTIONS: LazyLock<ParseOptions> = LazyLock::new(options);

pub(crate) fn parse_file(path: &str, text: &str) -> ParsedFile {
    rule::parse_file(path, text, &OPTIONS)
}
