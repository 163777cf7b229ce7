//! That each public item says what it is. The compiler asks for that in the rule engine, fields included; here it is
//! asked of every crate, for what has a body or a name of its own.

use anyhow::{Context as _, Result};
use syn::visit::{self, Visit};
use syn::{Attribute, ImplItemFn, Item, ItemImpl, ItemMod, Visibility};

/// A finding for each public item of a file without a comment.
pub(crate) fn findings(path: &str, text: &str) -> Result<Vec<String>> {
    let file = syn::parse_file(text).with_context(|| format!("could not parse `{path}`"))?;
    let mut search = Search::default();
    search.visit_file(&file);
    let found = search.found.iter();
    Ok(found
        .map(|(line, name)| format!("{path}:{line}: `{name}` is public and has no `///`"))
        .collect())
}

#[derive(Default)]
struct Search {
    /// Line and name.
    found: Vec<(usize, String)>,
}

impl Search {
    fn check(&mut self, visibility: &Visibility, attributes: &[Attribute], name: &syn::Ident) {
        let is_documented = attributes.iter().any(|attribute| attribute.path().is_ident("doc"));
        if matches!(visibility, Visibility::Public(_)) && !is_documented {
            self.found.push((name.span().start().line, name.to_string()));
        }
    }
}

impl<'ast> Visit<'ast> for Search {
    fn visit_item(&mut self, item: &'ast Item) {
        match item {
            Item::Const(item) => self.check(&item.vis, &item.attrs, &item.ident),
            Item::Enum(item) => self.check(&item.vis, &item.attrs, &item.ident),
            Item::Fn(item) => self.check(&item.vis, &item.attrs, &item.sig.ident),
            Item::Static(item) => self.check(&item.vis, &item.attrs, &item.ident),
            Item::Struct(item) => self.check(&item.vis, &item.attrs, &item.ident),
            Item::Trait(item) => self.check(&item.vis, &item.attrs, &item.ident),
            Item::Type(item) => self.check(&item.vis, &item.attrs, &item.ident),
            _ => {}
        }
        visit::visit_item(self, item);
    }

    fn visit_impl_item_fn(&mut self, function: &'ast ImplItemFn) {
        // `new` makes what the type's own comment describes.
        if function.sig.ident != "new" {
            self.check(&function.vis, &function.attrs, &function.sig.ident);
        }
    }

    fn visit_item_impl(&mut self, item: &'ast ItemImpl) {
        if item.trait_.is_none() {
            visit::visit_item_impl(self, item);
        }
    }

    fn visit_item_mod(&mut self, module: &'ast ItemMod) {
        if module.ident != "tests" {
            visit::visit_item_mod(self, module);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::findings;

    #[test]
    fn a_public_item_without_a_comment_is_found_and_others_are_not() {
        let text = "/// One.\npub struct One;\npub(crate) struct Two;\nimpl One {\n    pub fn three(&self) {}\n}\npub fn four() {}\n";
        let found = findings("a.rs", text).unwrap();
        assert_eq!(
            found,
            [
                "a.rs:5: `three` is public and has no `///`",
                "a.rs:7: `four` is public and has no `///`"
            ]
        );
    }
}
