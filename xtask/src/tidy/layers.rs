//! Dependencies point inward only.

/// What a crate must not reach, over any number of crates in between.
pub(super) struct Rule {
    pub(super) package: &'static str,
    /// Families of crates: `sqlx` is `sqlx-core` as well.
    forbidden: &'static [&'static str],
}

pub(super) const RULES: [Rule; 6] = [
    Rule {
        package: "roots-domain",
        forbidden: &[
            "sea-orm",
            "sqlx",
            "axum",
            "ring",
            "tokio",
            "roots-http",
            "roots-crypto",
            "roots-persistence",
        ],
    },
    // The adapters do not know each other.
    Rule { package: "roots-http", forbidden: &["roots-crypto", "roots-persistence"] },
    Rule { package: "roots-crypto", forbidden: &["roots-http", "roots-persistence"] },
    Rule { package: "roots-persistence", forbidden: &["roots-http", "roots-crypto"] },
    // What measures and tests is not shipped, and what is measured is the program as it is shipped.
    Rule { package: "roots-server", forbidden: &["roots-bench", "roots-testkit"] },
    Rule {
        package: "roots-bench",
        forbidden: &[
            "roots-domain",
            "roots-http",
            "roots-crypto",
            "roots-persistence",
            "roots-migrations",
            "roots-server",
        ],
    },
];

impl Rule {
    /// `tree` is what `cargo tree --prefix none` prints: a crate a line, its name first.
    pub(super) fn check(&self, tree: &str) -> Vec<String> {
        let names = tree.lines().filter_map(|line| line.split_whitespace().next());
        if !names.clone().any(|name| name == self.package) {
            return vec![format!("{}: `cargo tree` does not show it", self.package)];
        }
        let mut reached: Vec<&str> =
            names.filter(|name| self.forbidden.iter().any(|family| is_of(name, family))).collect();
        reached.sort_unstable();
        reached.dedup();
        let told = |name| {
            format!(
                "{package}: depends on {name} (`cargo tree -p {package} -i {name}`)",
                package = self.package
            )
        };
        reached.into_iter().map(told).collect()
    }
}

fn is_of(name: &str, family: &str) -> bool {
    name.strip_prefix(family).is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(package: &str) -> Rule {
        RULES.into_iter().find(|rule| rule.package == package).unwrap()
    }

    #[test]
    fn the_core_must_not_gain_a_database_a_web_server_crypto_or_a_runtime() {
        let tree = "roots-domain v0.1.0 (/w/crates/roots-domain)\nuuid v1.29.0\nsea-orm v2.0.4\nsqlx-core v0.9.0\n\
                    axum v0.8.9\nring v0.17.14\ntokio v1.54.0\ntokio v1.54.0 (*)\n";
        let found = rule("roots-domain").check(tree);
        let names = ["axum", "ring", "sea-orm", "sqlx-core", "tokio"];
        assert_eq!(found.len(), names.len(), "{found:?}");
        for (line, name) in found.iter().zip(names) {
            assert!(line.starts_with(&format!("roots-domain: depends on {name} ")), "{line}");
        }
    }

    #[test]
    fn an_adapter_must_not_know_another() {
        for (package, other) in [
            ("roots-http", "roots-persistence"),
            ("roots-http", "roots-crypto"),
            ("roots-crypto", "roots-http"),
            ("roots-persistence", "roots-crypto"),
        ] {
            let tree =
                format!("{package} v0.1.0 (/w)\nroots-domain v0.1.0 (/w)\n{other} v0.1.0 (/w)\n");
            assert_eq!(rule(package).check(&tree).len(), 1, "{package} on {other}");
        }
    }

    #[test]
    fn a_tree_without_the_crate_itself_proves_nothing() {
        for tree in ["", "serde v1.0.0\n", "roots-domain-x v0.1.0 (/w)\n"] {
            let found = rule("roots-domain").check(tree);
            assert_eq!(found, ["roots-domain: `cargo tree` does not show it"], "{tree}");
        }
    }

    #[test]
    fn a_name_that_only_begins_alike_is_another_crate() {
        let tree =
            "roots-domain v0.1.0 (/w)\nringbuf v1.0.0\nstring-ring v1.0.0\nserde v1.0.0 (*)\n";
        assert_eq!(rule("roots-domain").check(tree), Vec::<String>::new());
    }
}
