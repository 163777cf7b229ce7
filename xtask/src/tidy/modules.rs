//! A crate's modules and what each imports, from its `use` lines and the paths in its code.
//!
//! An import is followed through re-exports to the file that has what is imported. Tests see everything, so what is
//! compiled for them alone is left out; so is a re-export of what lies below a module, which only opens a door.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use proc_macro2::{TokenStream, TokenTree};
use syn::spanned::Spanned as _;
use syn::visit::{self, Visit};
use syn::{Attribute, Item, ItemMod, ItemUse, UseTree};

/// How many re-exports are followed; Rust itself allows circles of them.
const FOLLOWED_AT_MOST: usize = 16;

/// Names from the crate's root on, which has none.
pub(crate) type ModulePath = Vec<String>;

/// A crate's modules, and what they import of each other.
pub(crate) struct Modules {
    modules: BTreeMap<ModulePath, Module>,
    pub imports: Vec<Import>,
}

/// From a file to another one of its crate.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct Import {
    pub file: PathBuf,
    pub line: usize,
    /// The module whose file imports, and the one that has what is imported.
    pub from: ModulePath,
    pub to: ModulePath,
    pub to_file: PathBuf,
    /// In a `use` line, and not where it is used.
    pub is_use: bool,
}

struct Module {
    file: PathBuf,
    /// Names of what is made here.
    items: BTreeSet<String>,
    /// What imported names stand for here.
    names: BTreeMap<String, Vec<String>>,
    /// Modules of which all names are here.
    globs: Vec<Vec<String>>,
    paths: Vec<Mention>,
}

/// A path as it is written, from where it is written.
struct Mention {
    line: usize,
    path: Vec<String>,
    kind: Kind,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Use,
    Reexport,
    InCode,
}

impl Modules {
    /// Reads a crate from its root file on; other files are in `source` as usual.
    pub(crate) fn read(root: &Path) -> Result<Self> {
        let mut modules = BTreeMap::new();
        let folder = root.parent().context("a file is in a folder")?;
        read_file(root, folder, Vec::new(), &mut modules)?;
        let mut read = Self {
            modules,
            imports: Vec::new(),
        };
        let mut imports = Vec::new();
        for (from, module) in &read.modules {
            for mention in &module.paths {
                let Some(to) = read.resolve(from, &mention.path, 0) else {
                    continue;
                };
                let opens_a_door = mention.kind == Kind::Reexport && to.starts_with(from) && to != *from;
                let to_file = &read.modules[&to].file;
                if opens_a_door || *to_file == module.file {
                    continue;
                }
                imports.push(Import {
                    file: module.file.clone(),
                    line: mention.line,
                    from: from.clone(),
                    to: to.clone(),
                    to_file: to_file.clone(),
                    is_use: mention.kind != Kind::InCode,
                });
            }
        }
        imports.sort();
        imports.dedup();
        read.imports = imports;
        Ok(read)
    }

    pub(crate) fn rooms(&self) -> impl Iterator<Item = (&str, &Path)> {
        let top = self.modules.iter().filter(|(path, _)| path.len() == 1);
        top.map(|(path, module)| (path[0].as_str(), module.file.as_path()))
    }

    /// The module that has what a path names; `None` if that is another crate's.
    fn resolve(&self, from: &[String], path: &[String], followed: usize) -> Option<ModulePath> {
        if followed > FOLLOWED_AT_MOST {
            return None;
        }
        let (first, rest) = path.split_first()?;
        let mut module = from.to_vec();
        let mut rest = rest;
        match first.as_str() {
            "crate" => module.clear(),
            "self" => {}
            "super" => {
                module.pop()?;
                while let Some(("super", others)) = rest.split_first().map(|(name, others)| (name.as_str(), others)) {
                    module.pop()?;
                    rest = others;
                }
            }
            _ => return self.find(&module, path, followed).flatten(),
        }
        self.enter(module, rest, followed)
    }

    /// Where a path leads on from a module that it has reached.
    fn enter(&self, module: ModulePath, path: &[String], followed: usize) -> Option<ModulePath> {
        match self.find(&module, path, followed) {
            Some(found) => found,
            None => self.find_behind_globs(&module, path, followed).unwrap_or(Some(module)),
        }
    }

    /// Where a path leads whose first name stands for something in a module, if it does: `Some(None)` is another crate.
    fn find(&self, module: &ModulePath, path: &[String], followed: usize) -> Option<Option<ModulePath>> {
        let here = self.modules.get(module)?;
        let Some((name, rest)) = path.split_first() else {
            return Some(Some(module.clone()));
        };
        let child: ModulePath = module.iter().chain([name]).cloned().collect();
        if self.modules.contains_key(&child) {
            return Some(self.enter(child, rest, followed));
        }
        if here.items.contains(name) {
            return Some(Some(module.clone()));
        }
        let meant = here.names.get(name)?;
        // Without a path to it, the name is another crate's.
        if meant.first() == Some(name) {
            return Some(None);
        }
        let meant: Vec<String> = meant.iter().chain(rest).cloned().collect();
        Some(self.resolve(module, &meant, followed + 1))
    }

    fn find_behind_globs(&self, module: &ModulePath, path: &[String], followed: usize) -> Option<Option<ModulePath>> {
        let globs = &self.modules.get(module)?.globs;
        globs.iter().find_map(|glob| {
            let target = self
                .resolve(module, glob, followed + 1)
                .filter(|target| target != module)?;
            self.find(&target, path, followed + 1)
        })
    }
}

fn item_name(item: &Item) -> Option<String> {
    let name = match item {
        Item::Const(item) => &item.ident,
        Item::Enum(item) => &item.ident,
        Item::Fn(item) => &item.sig.ident,
        Item::Macro(item) => item.ident.as_ref()?,
        Item::Static(item) => &item.ident,
        Item::Struct(item) => &item.ident,
        Item::Trait(item) => &item.ident,
        Item::Type(item) => &item.ident,
        _ => return None,
    };
    Some(name.to_string())
}

/// Reads a file and the files of its modules, whose folder is `folder`.
fn read_file(file: &Path, folder: &Path, path: ModulePath, modules: &mut BTreeMap<ModulePath, Module>) -> Result<()> {
    let text = fs::read_to_string(file).with_context(|| format!("could not read `{}`", file.display()))?;
    let parsed = syn::parse_file(&text).with_context(|| format!("could not parse `{}`", file.display()))?;
    read_items(&parsed.items, file, folder, path, modules)
}

fn read_items(
    items: &[Item],
    file: &Path,
    folder: &Path,
    path: ModulePath,
    modules: &mut BTreeMap<ModulePath, Module>,
) -> Result<()> {
    let mut reader = Reader::default();
    for item in items {
        reader.visit_item(item);
    }
    let inner = reader.inner;
    let module = Module {
        file: file.to_owned(),
        items: items.iter().filter_map(item_name).collect(),
        names: reader.names,
        globs: reader.globs,
        paths: reader.paths,
    };
    modules.insert(path.clone(), module);
    for inner in inner {
        let name = inner.ident.to_string();
        let path: ModulePath = path.iter().chain([&name]).cloned().collect();
        let own_folder = folder.join(&name);
        match &inner.content {
            Some((_, items)) => read_items(items, file, &own_folder, path, modules)?,
            None => {
                let own_file = match named_file(&inner.attrs) {
                    Some(named) => file.parent().context("a file is in a folder")?.join(named),
                    None => folder.join(format!("{name}.rs")),
                };
                read_file(&own_file, &own_folder, path, modules)?;
            }
        }
    }
    Ok(())
}

/// What one module says, without what its tests say.
#[derive(Default)]
struct Reader {
    names: BTreeMap<String, Vec<String>>,
    globs: Vec<Vec<String>>,
    paths: Vec<Mention>,
    inner: Vec<ItemMod>,
}

impl Reader {
    /// Takes in a `use` tree: a path for each name that it brings.
    fn take_in(&mut self, tree: &UseTree, before: &[String], kind: Kind) {
        let with = |name: &syn::Ident| -> Vec<String> {
            // `self` at the end stands for what is before it.
            if name == "self" && !before.is_empty() {
                return before.to_vec();
            }
            before.iter().cloned().chain([name.to_string()]).collect()
        };
        let line = tree.span().start().line;
        let mut bring = |name: String, path: Vec<String>| {
            self.names.insert(name, path.clone());
            self.paths.push(Mention { line, path, kind });
        };
        match tree {
            UseTree::Path(path) => {
                let before = with(&path.ident);
                self.take_in(&path.tree, &before, kind);
            }
            UseTree::Name(name) => {
                let path = with(&name.ident);
                bring(path.last().cloned().unwrap_or_default(), path);
            }
            UseTree::Rename(rename) => bring(rename.rename.to_string(), with(&rename.ident)),
            UseTree::Glob(_) => {
                self.globs.push(before.to_vec());
                self.paths.push(Mention {
                    line,
                    path: before.to_vec(),
                    kind,
                });
            }
            UseTree::Group(group) => {
                for tree in &group.items {
                    self.take_in(tree, before, kind);
                }
            }
        }
    }

    fn mention(&mut self, line: usize, path: Vec<String>) {
        if path.len() > 1 {
            self.paths.push(Mention {
                line,
                path,
                kind: Kind::InCode,
            });
        }
    }

    /// Paths in what a macro is given.
    fn mention_tokens(&mut self, tokens: TokenStream) {
        let mut path: Vec<String> = Vec::new();
        let mut line = 0;
        let mut colons = 0;
        for token in tokens {
            match token {
                TokenTree::Punct(punct) if punct.as_char() == ':' => {
                    colons += 1;
                    continue;
                }
                TokenTree::Ident(name) if colons == 2 && !path.is_empty() => path.push(name.to_string()),
                other => {
                    self.mention(line, std::mem::take(&mut path));
                    match other {
                        TokenTree::Ident(name) => {
                            line = name.span().start().line;
                            path.push(name.to_string());
                        }
                        TokenTree::Group(group) => self.mention_tokens(group.stream()),
                        _ => {}
                    }
                }
            }
            colons = 0;
        }
        self.mention(line, path);
    }
}

impl<'ast> Visit<'ast> for Reader {
    fn visit_item(&mut self, item: &'ast Item) {
        if !is_for_tests(attributes(item)) {
            visit::visit_item(self, item);
        }
    }

    fn visit_item_mod(&mut self, module: &'ast ItemMod) {
        self.inner.push(module.clone());
    }

    fn visit_item_use(&mut self, item: &'ast ItemUse) {
        let kind = match item.vis {
            syn::Visibility::Inherited => Kind::Use,
            _ => Kind::Reexport,
        };
        self.take_in(&item.tree, &[], kind);
    }

    fn visit_impl_item_fn(&mut self, function: &'ast syn::ImplItemFn) {
        if !is_for_tests(&function.attrs) {
            visit::visit_impl_item_fn(self, function);
        }
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        let names = path.segments.iter().map(|segment| segment.ident.to_string());
        self.mention(path.span().start().line, names.collect());
        visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, found: &'ast syn::Macro) {
        self.visit_path(&found.path);
        self.mention_tokens(found.tokens.clone());
    }

    /// A door that is open to the outside, such as `pub(in crate::x)`, imports nothing.
    fn visit_visibility(&mut self, _: &'ast syn::Visibility) {}

    fn visit_attribute(&mut self, _: &'ast Attribute) {}
}

fn attributes(item: &Item) -> &[Attribute] {
    match item {
        Item::Const(item) => &item.attrs,
        Item::Enum(item) => &item.attrs,
        Item::Fn(item) => &item.attrs,
        Item::Impl(item) => &item.attrs,
        Item::Macro(item) => &item.attrs,
        Item::Mod(item) => &item.attrs,
        Item::Static(item) => &item.attrs,
        Item::Struct(item) => &item.attrs,
        Item::Trait(item) => &item.attrs,
        Item::Type(item) => &item.attrs,
        Item::Use(item) => &item.attrs,
        _ => &[],
    }
}

/// `#[cfg(test)]`, alone or as one of several conditions; `#[test]`.
fn is_for_tests(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        let condition = match &attribute.meta {
            syn::Meta::List(list) if list.path.is_ident("cfg") => list.tokens.to_string(),
            meta => return meta.path().is_ident("test"),
        };
        condition == "test" || condition.starts_with("all (test") || condition.starts_with("all(test")
    })
}

/// `#[path = ".."]`.
fn named_file(attributes: &[Attribute]) -> Option<String> {
    attributes.iter().find_map(|attribute| {
        let value = &attribute
            .meta
            .require_name_value()
            .ok()
            .filter(|meta| meta.path.is_ident("path"))?
            .value;
        match value {
            syn::Expr::Lit(syn::ExprLit {
                lit: syn::Lit::Str(text),
                ..
            }) => Some(text.value()),
            _ => None,
        }
    })
}
