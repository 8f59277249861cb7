//! Checks that the files of a crate depend on each other in one direction only, and that no file is
//! too long.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::path::Path;
use std::{error, fs};

use syn::punctuated::Punctuated;
use syn::visit::{self, Visit};

use super::files::files;

/// The most lines of a file, except in tests.
const FILE_MAX_LINES: usize = 600;

/// The path of a module from the root of its crate. The root's path is empty.
type ModulePath = Vec<String>;

/// Checks the sources of the crate in `folder`.
pub(super) fn check(root: &Path, folder: &Path) -> Result<Vec<String>, Box<dyn error::Error>> {
    let sources = folder.join("src");
    let mut crate_files = Vec::new();
    let mut found = Vec::new();
    for path in files(&sources)? {
        if path.extension() != Some(OsStr::new("rs")) {
            continue;
        }
        let shown = path.strip_prefix(root).unwrap_or(&path).display().to_string();
        let module = module_of(path.strip_prefix(&sources)?);
        if module.iter().any(|part| part == "tests") {
            continue;
        }
        let source = fs::read_to_string(&path)?;
        found.extend(check_length(&shown, &source));
        let parsed = syn::parse_file(&source).map_err(|error| format!("{shown}: {error}"))?;
        crate_files.push((shown, module, parsed));
    }
    found.extend(circles(&crate_files));
    Ok(found)
}

fn check_length(path: &str, source: &str) -> Option<String> {
    let lines = source.lines().count();
    (lines > FILE_MAX_LINES)
        .then(|| format!("{path}: has {lines} lines, but {FILE_MAX_LINES} are allowed; split it"))
}

/// The module of a file under `src`.
fn module_of(path: &Path) -> ModulePath {
    let path = path.with_extension("");
    let mut module: ModulePath =
        path.iter().map(|part| part.to_string_lossy().into_owned()).collect();
    let is_root = module.len() == 1 && matches!(module[0].as_str(), "lib" | "main");
    if is_root || module.last().is_some_and(|last| last == "mod") {
        module.pop();
    }
    module
}

/// One line for each file in a circle, with the files of the circle that it uses.
fn circles(crate_files: &[(String, ModulePath, syn::File)]) -> Vec<String> {
    let uses = uses(crate_files);
    let reached: Vec<BTreeSet<usize>> =
        (0..crate_files.len()).map(|file| reachable(&uses, file)).collect();
    let violation = |file: usize| {
        let in_circle = |other: &&usize| reached[**other].contains(&file);
        let others: Vec<_> = uses[file]
            .iter()
            .filter(in_circle)
            .map(|other| crate_files[*other].0.as_str())
            .collect();
        format!(
            "{}: is in a circle of files, because it uses {}",
            crate_files[file].0,
            others.join(", ")
        )
    };
    (0..crate_files.len()).filter(|file| reached[*file].contains(file)).map(violation).collect()
}

/// All files that a file uses, directly or through others.
fn reachable(uses: &[BTreeSet<usize>], from: usize) -> BTreeSet<usize> {
    let mut reached = BTreeSet::new();
    let mut next: Vec<usize> = uses[from].iter().copied().collect();
    while let Some(file) = next.pop() {
        if reached.insert(file) {
            next.extend(&uses[file]);
        }
    }
    reached
}

/// The files that each file uses directly.
fn uses(crate_files: &[(String, ModulePath, syn::File)]) -> Vec<BTreeSet<usize>> {
    let by_module: BTreeMap<&[String], usize> =
        crate_files.iter().enumerate().map(|(at, (_, module, _))| (&module[..], at)).collect();
    let read = |(_, module, parsed): &(String, ModulePath, syn::File)| {
        let mut visitor = PathVisitor {
            by_module: &by_module,
            module: module.clone(),
            depth: 0,
            implemented: None,
            paths: Vec::new(),
            names: BTreeMap::new(),
            methods: BTreeSet::new(),
            calls: BTreeSet::new(),
        };
        visitor.visit_file(parsed);
        visitor
    };
    let visitors: Vec<PathVisitor<'_>> = crate_files.iter().map(read).collect();
    let methods = methods(&by_module, &visitors);
    let used_by = |file: usize| -> BTreeSet<usize> {
        let targets = visitors[file].paths.iter();
        let targets = targets.filter_map(|path| target(&by_module, &visitors, path));
        let calls = visitors[file].calls.iter();
        let called = calls.filter_map(|(named, method)| {
            let defined = (defined_type(&by_module, &visitors, file, named), method.clone());
            only_file(methods.get(&defined)?, file)
        });
        targets.filter(|to| *to != file).chain(called).collect()
    };
    (0..crate_files.len()).map(used_by).collect()
}

/// A type: the file that defines it, and its name there.
type DefinedType = (usize, String);

/// The files that define each method of a type. The methods of a type may be split over files.
fn methods(
    by_module: &BTreeMap<&[String], usize>,
    visitors: &[PathVisitor<'_>],
) -> BTreeMap<(DefinedType, String), BTreeSet<usize>> {
    let mut methods = BTreeMap::<_, BTreeSet<usize>>::new();
    for (file, visitor) in visitors.iter().enumerate() {
        for (named, method) in &visitor.methods {
            let defined = (defined_type(by_module, visitors, file, named), method.clone());
            methods.entry(defined).or_default().insert(file);
        }
    }
    methods
}

/// The type that a name means in a file. A name that the file does not import is its own.
fn defined_type(
    by_module: &BTreeMap<&[String], usize>,
    visitors: &[PathVisitor<'_>],
    file: usize,
    named: &str,
) -> DefinedType {
    let imported = visitors[file].names.get(named);
    let defined =
        imported.and_then(|path| Some((target(by_module, visitors, path)?, path.last()?.clone())));
    defined.unwrap_or_else(|| (file, named.to_owned()))
}

/// The file that a call from `from` uses: none if `from` has the method itself, or if several files
/// have one of that name, for different generic arguments.
fn only_file(defined_in: &BTreeSet<usize>, from: usize) -> Option<usize> {
    let mut files = defined_in.iter().copied();
    files.next().filter(|file| *file != from && files.next().is_none())
}

/// The file that defines what a path from the root of the crate names. Re-exports are followed.
fn target(
    by_module: &BTreeMap<&[String], usize>,
    visitors: &[PathVisitor<'_>],
    path: &ModulePath,
) -> Option<usize> {
    let mut path = path.clone();
    let mut seen = BTreeSet::new();
    loop {
        let (file, length) = (0..=path.len())
            .rev()
            .find_map(|length| Some((*by_module.get(&path[..length])?, length)))?;
        let Some(meant) = path.get(length).and_then(|name| visitors[file].names.get(name)) else {
            return Some(file);
        };
        if !seen.insert(path.clone()) {
            return Some(file);
        }
        path = meant.iter().chain(&path[length + 1..]).cloned().collect();
    }
}

/// Collects the paths into its own crate that a file contains outside its tests, and the methods
/// that it defines and calls on `self`.
struct PathVisitor<'a> {
    by_module: &'a BTreeMap<&'a [String], usize>,
    /// The current module, which may be an inline one.
    module: ModulePath,
    /// The number of inline modules around the current position.
    depth: usize,
    /// The name of the type whose `impl` is around the current position.
    implemented: Option<String>,
    paths: Vec<ModulePath>,
    /// The names that `use` brings into the file's own module, and their paths.
    names: BTreeMap<String, ModulePath>,
    /// Names of types, and the methods that the file implements for them.
    methods: BTreeSet<(String, String)>,
    /// Names of types, and the methods that the file's implementations for them call on `self`.
    calls: BTreeSet<(String, String)>,
}

impl PathVisitor<'_> {
    /// The path from the root of the crate, or none if it leads out of the crate.
    fn absolute(&self, path: &[String]) -> Option<ModulePath> {
        let mut module = self.module.clone();
        let mut rest = path;
        match path.first()?.as_str() {
            "crate" => (module, rest) = (Vec::new(), &path[1..]),
            "self" => rest = &path[1..],
            "super" => {}
            // A child of the current module.
            name => {
                module.push(name.to_owned());
                return self.by_module.contains_key(&module[..]).then(|| {
                    module.extend_from_slice(&path[1..]);
                    module
                });
            }
        }
        while let Some(("super", after)) =
            rest.split_first().map(|(name, after)| (name.as_str(), after))
        {
            module.pop()?;
            rest = after;
        }
        module.extend_from_slice(rest);
        Some(module)
    }

    fn read_use(&mut self, tree: &syn::UseTree, before: &[String], is_public: bool) {
        let with = |ident: &syn::Ident| [before, &[ident.to_string()]].concat();
        match tree {
            syn::UseTree::Path(path) => self.read_use(&path.tree, &with(&path.ident), is_public),
            syn::UseTree::Group(group) => {
                for tree in &group.items {
                    self.read_use(tree, before, is_public);
                }
            }
            syn::UseTree::Glob(_) => self.used(before, None, is_public),
            syn::UseTree::Name(name) if name.ident == "self" => {
                self.used(before, before.last().cloned(), is_public);
            }
            syn::UseTree::Name(name) => {
                self.used(&with(&name.ident), Some(name.ident.to_string()), is_public);
            }
            syn::UseTree::Rename(rename) => {
                self.used(&with(&rename.ident), Some(rename.rename.to_string()), is_public);
            }
        }
    }

    /// Adds a path of `use`. A public re-export of a child module does not count as a use of it.
    fn used(&mut self, path: &[String], name: Option<String>, is_public: bool) {
        let Some(path) = self.absolute(path) else { return };
        let is_within = path.len() > self.module.len() && path.starts_with(&self.module);
        if !(is_public && is_within) {
            self.paths.push(path.clone());
        }
        if let Some(name) = name.filter(|_| self.depth == 0) {
            self.names.insert(name, path);
        }
    }

    /// Adds a call of a method of the type that is being implemented.
    fn called(&mut self, method: &str) {
        if let Some(named) = &self.implemented {
            self.calls.insert((named.clone(), method.to_owned()));
        }
    }
}

impl<'ast> Visit<'ast> for PathVisitor<'_> {
    fn visit_item(&mut self, item: &'ast syn::Item) {
        if !attributes(item).iter().any(is_test) {
            visit::visit_item(self, item);
        }
    }

    fn visit_item_mod(&mut self, item: &'ast syn::ItemMod) {
        self.module.push(item.ident.to_string());
        self.depth += 1;
        visit::visit_item_mod(self, item);
        self.module.pop();
        self.depth -= 1;
    }

    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        let is_public = !matches!(item.vis, syn::Visibility::Inherited);
        self.read_use(&item.tree, &[], is_public);
    }

    fn visit_item_impl(&mut self, item: &'ast syn::ItemImpl) {
        let around = std::mem::replace(&mut self.implemented, type_name(&item.self_ty));
        if let Some(named) = &self.implemented {
            for item in &item.items {
                if let syn::ImplItem::Fn(method) = item {
                    self.methods.insert((named.clone(), method.sig.ident.to_string()));
                }
            }
        }
        visit::visit_item_impl(self, item);
        self.implemented = around;
    }

    fn visit_expr_method_call(&mut self, call: &'ast syn::ExprMethodCall) {
        if let syn::Expr::Path(receiver) = &*call.receiver
            && receiver.path.is_ident("self")
        {
            self.called(&call.method.to_string());
        }
        visit::visit_expr_method_call(self, call);
    }

    /// `pub(super)` is no use of the parent.
    fn visit_vis_restricted(&mut self, _: &'ast syn::VisRestricted) {}

    fn visit_path(&mut self, path: &'ast syn::Path) {
        let names: Vec<_> = path.segments.iter().map(|part| part.ident.to_string()).collect();
        self.paths.extend(self.absolute(&names));
        if let [first, method] = &names[..]
            && first == "Self"
        {
            self.called(method);
        }
        visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, given: &'ast syn::Macro) {
        visit::visit_macro(self, given);
        let arguments = Punctuated::<syn::Expr, syn::Token![,]>::parse_terminated;
        if let Ok(arguments) = given.parse_body_with(arguments) {
            // The parsed arguments do not live as long as the file, so they need a second visitor.
            let mut within = PathVisitor {
                by_module: self.by_module,
                module: self.module.clone(),
                depth: self.depth,
                implemented: self.implemented.clone(),
                paths: Vec::new(),
                names: BTreeMap::new(),
                methods: BTreeSet::new(),
                calls: BTreeSet::new(),
            };
            for argument in &arguments {
                within.visit_expr(argument);
            }
            self.paths.append(&mut within.paths);
            self.calls.append(&mut within.calls);
        }
    }
}

/// The name of a type, without its module and its generic arguments.
fn type_name(named: &syn::Type) -> Option<String> {
    let syn::Type::Path(named) = named else { return None };
    named.path.segments.last().map(|part| part.ident.to_string())
}

fn attributes(item: &syn::Item) -> &[syn::Attribute] {
    match item {
        syn::Item::Fn(item) => &item.attrs,
        syn::Item::Impl(item) => &item.attrs,
        syn::Item::Mod(item) => &item.attrs,
        syn::Item::Struct(item) => &item.attrs,
        syn::Item::Use(item) => &item.attrs,
        _ => &[],
    }
}

/// Whether an attribute is `#[cfg(test)]`.
fn is_test(attribute: &syn::Attribute) -> bool {
    attribute.path().is_ident("cfg")
        && attribute.parse_args::<syn::Ident>().is_ok_and(|given| given == "test")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(sources: &[(&str, &str)]) -> Vec<String> {
        let read = |(path, source): &(&str, &str)| {
            ((*path).to_owned(), module_of(Path::new(path)), syn::parse_file(source).unwrap())
        };
        circles(&sources.iter().map(read).collect::<Vec<_>>())
    }

    fn violation(path: &str, others: &str) -> String {
        format!("{path}: is in a circle of files, because it uses {others}")
    }

    #[test]
    fn files_that_use_each_other_in_any_way_are_a_circle() {
        for (one, other) in [
            ("use crate::b::B;", "use crate::a::A;"),
            ("use crate::{b::{self, B}, c};", "use super::a;"),
            ("fn a() { crate::b::b() }", "type B = super::a::A;"),
            ("fn a() { assert!(crate::b::b()) }", "impl crate::a::A for u8 {}"),
            ("mod inner { use super::super::b; }", "use crate::a::*;"),
            ("use super::b as c;", "pub(crate) use crate::a::A;"),
        ] {
            let circle = found(&[("a.rs", one), ("b.rs", other), ("c.rs", ""), ("lib.rs", "")]);
            assert_eq!(
                circle,
                [violation("a.rs", "b.rs"), violation("b.rs", "a.rs")],
                "{one} {other}"
            );
        }
    }

    #[test]
    fn a_circle_of_several_files_names_only_these_files() {
        let sources = [
            ("a.rs", "use crate::b;"),
            ("b.rs", "use crate::{c::d, e};"),
            ("c/d.rs", "use crate::{a, e};"),
            ("e.rs", ""),
            ("f.rs", "use crate::a;"),
        ];
        let circle =
            [violation("a.rs", "b.rs"), violation("b.rs", "c/d.rs"), violation("c/d.rs", "a.rs")];
        assert_eq!(found(&sources), circle);
    }

    #[test]
    fn a_parent_and_its_child_that_use_each_other_are_a_circle() {
        for parent in ["a.rs", "a/mod.rs"] {
            let sources = [(parent, "mod b; fn c() { b::d() }"), ("a/b.rs", "use super::c;")];
            assert_eq!(found(&sources), [violation(parent, "a/b.rs"), violation("a/b.rs", parent)]);
        }
        let sources = [("main.rs", "use a::A; struct B;"), ("a.rs", "use crate::B;")];
        assert_eq!(found(&sources), [violation("main.rs", "a.rs"), violation("a.rs", "main.rs")]);
    }

    #[test]
    fn a_parent_may_re_export_its_children() {
        let children = [("a/b.rs", "use super::C;"), ("a/c.rs", "pub struct C;")];
        for parent in
            ["mod b; mod c; pub use c::C;", "mod b; mod c; pub(crate) use self::c::*; use c::C;"]
        {
            assert_eq!(found(&[&children[..], &[("a.rs", parent)]].concat()), Vec::<String>::new());
        }
        let back =
            [("a.rs", "pub use c::C;"), ("a/b.rs", "use super::C;"), ("a/c.rs", "use super::b;")];
        assert_eq!(found(&back), [violation("a/b.rs", "a/c.rs"), violation("a/c.rs", "a/b.rs")]);
    }

    #[test]
    fn files_that_call_each_others_methods_on_self_are_a_circle() {
        let store = ("store.rs", "pub struct Store; impl Store { fn read(&self) {} }");
        let one = "use crate::store::Store; impl Store { fn a(&self) { self.read(); self.b() } }";
        for other in [
            "use crate::store::Store; impl Store { fn b(&self) { self.a() } }",
            "use super::store::Store as S; impl Clone for S { fn b(&self) { c(self.a()) } }",
            "use crate::store::Store; impl Store { fn b(&self) { assert!(self.a()) } }",
            "use crate::store::Store; impl Store { fn b(&self) { Self::a(self) } }",
        ] {
            let circle = [violation("a.rs", "b.rs"), violation("b.rs", "a.rs")];
            assert_eq!(found(&[("a.rs", one), ("b.rs", other), store]), circle, "{other}");
        }
    }

    #[test]
    fn a_method_of_another_type_or_of_several_files_is_no_use() {
        let store = ("store.rs", "pub struct Store;");
        let one = "use crate::store::Store; impl Store { fn a(&self) { self.b() } }";
        let other = "use crate::a; struct Store; impl Store { fn b(&self) {} }";
        let again = "use crate::store::Store; use crate::a; impl Store { fn b(&self) {} }";
        let theirs = "use crate::store::Store; impl Store { fn b(&self, d: u8) { d.a() } }";
        for rest in [
            &[("b.rs", other)][..],
            &[("b.rs", again), ("c.rs", again)],
            &[("b.rs", theirs), ("c.rs", "use crate::b; struct Store;")],
        ] {
            let sources = [&[("a.rs", one), store][..], rest].concat();
            assert_eq!(found(&sources), Vec::<String>::new(), "{rest:?}");
        }
    }

    #[test]
    fn tests_visibility_and_other_crates_are_no_uses() {
        let sources = [
            ("a.rs", "use crate::b; pub(in crate::a) fn a() {}"),
            (
                "b.rs",
                "use a::b; #[cfg(test)] mod tests { use crate::a; } #[cfg(test)] use crate::a; pub(super) fn b() {}",
            ),
            ("lib.rs", "mod a; mod b; use a::a;"),
        ];
        assert_eq!(found(&sources), Vec::<String>::new());
    }

    #[test]
    fn re_exports_of_each_other_do_not_loop_forever() {
        let sources = [("a.rs", "pub use crate::b::C;"), ("b.rs", "pub use crate::a::C;")];
        assert_eq!(found(&sources), [violation("a.rs", "b.rs"), violation("b.rs", "a.rs")]);
    }

    #[test]
    fn a_long_file_is_found() {
        let (short, long) = ("a\n".repeat(FILE_MAX_LINES), "a\n".repeat(FILE_MAX_LINES + 1));
        assert_eq!(check_length("a.rs", &short), None);
        assert_eq!(
            check_length("a.rs", &long).unwrap(),
            "a.rs: has 601 lines, but 600 are allowed; split it"
        );
    }

    #[test]
    fn the_sources_of_a_crate_are_checked_except_its_tests() {
        let root = tempfile::tempdir().unwrap();
        let sources = root.path().join("crates/a/src");
        fs::create_dir_all(sources.join("b/tests")).unwrap();
        fs::write(sources.join("lib.rs"), "mod b; use b::B; struct A;").unwrap();
        fs::write(sources.join("b.rs"), "use crate::A; struct B;").unwrap();
        for tests in ["b/tests.rs", "b/tests/c.rs"] {
            fs::write(sources.join(tests), "use crate::b::B;\n".repeat(FILE_MAX_LINES + 1))
                .unwrap();
        }
        let found = check(root.path(), &root.path().join("crates/a")).unwrap();
        let (b, lib) = ("crates/a/src/b.rs", "crates/a/src/lib.rs");
        assert_eq!(found, [violation(b, lib), violation(lib, b)]);
    }
}
