//! Checks that dependencies point inward only.

/// Crates that a crate must not depend on, neither directly nor indirectly.
pub(super) struct Rule {
    pub(super) package: &'static str,
    /// Families of crates: `sqlx` includes `sqlx-core`, and `=sqlx` does not.
    forbidden: &'static [&'static str],
}

pub(super) const RULES: [Rule; 11] = [
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
    // Adapters do not depend on each other, nor a surface on another surface or on the program.
    Rule {
        package: "roots-http",
        forbidden: &["roots-crypto", "roots-persistence", "roots-mcp", "roots-web", "roots-server"],
    },
    Rule {
        package: "roots-mcp",
        forbidden: &[
            "=roots-http",
            "roots-crypto",
            "roots-persistence",
            "roots-web",
            "roots-server",
        ],
    },
    Rule {
        package: "roots-web",
        forbidden: &[
            "=roots-http",
            "roots-crypto",
            "roots-persistence",
            "roots-mcp",
            "roots-server",
        ],
    },
    // The shared base of all HTTP surfaces depends on none of them.
    Rule {
        package: "roots-http-core",
        forbidden: &[
            "roots-http",
            "roots-mcp",
            "roots-web",
            "roots-crypto",
            "roots-persistence",
            "roots-server",
        ],
    },
    Rule { package: "roots-crypto", forbidden: &["roots-http", "roots-persistence"] },
    Rule { package: "roots-persistence", forbidden: &["roots-http", "roots-crypto"] },
    // The server ships without test and benchmark code, and the benchmark measures the shipped
    // program.
    Rule { package: "roots-server", forbidden: &["roots-bench", "roots-testkit"] },
    // The client is for programs that know a server by its API alone.
    Rule {
        package: "roots-client",
        forbidden: &[
            "roots-domain",
            "roots-http",
            "roots-mcp",
            "roots-web",
            "roots-crypto",
            "roots-persistence",
            "roots-migrations",
            "roots-server",
            "roots-testkit",
            "roots-bench",
        ],
    },
    Rule {
        package: "roots-cli",
        forbidden: &[
            "roots-domain",
            "roots-http",
            "roots-mcp",
            "roots-web",
            "roots-crypto",
            "roots-persistence",
            "roots-migrations",
            "roots-server",
            "roots-testkit",
            "roots-bench",
        ],
    },
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
    /// Checks the output of `cargo tree --prefix none`: one crate a line, its name first.
    pub(super) fn check(&self, tree: &str) -> Vec<String> {
        let names = tree.lines().filter_map(|line| line.split_whitespace().next());
        if !names.clone().any(|name| name == self.package) {
            return vec![format!("{}: `cargo tree` does not show it", self.package)];
        }
        let is_forbidden = |name: &&str| self.forbidden.iter().any(|family| is_of(name, family));
        let mut reached: Vec<&str> =
            names.filter(|name| *name != self.package).filter(is_forbidden).collect();
        reached.sort_unstable();
        reached.dedup();
        let violation = |name| {
            format!(
                "{package}: depends on {name} (`cargo tree -p {package} -i {name}`)",
                package = self.package
            )
        };
        reached.into_iter().map(violation).collect()
    }
}

fn is_of(name: &str, family: &str) -> bool {
    match family.strip_prefix('=') {
        Some(one) => name == one,
        None => {
            name.strip_prefix(family).is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(package: &str) -> Rule {
        RULES.into_iter().find(|rule| rule.package == package).unwrap()
    }

    #[test]
    fn a_domain_with_a_database_web_server_crypto_or_runtime_is_found() {
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
    fn an_adapter_that_depends_on_another_is_found() {
        for (package, other) in [
            ("roots-http", "roots-persistence"),
            ("roots-http", "roots-crypto"),
            ("roots-http-core", "roots-http"),
            ("roots-http-core", "roots-persistence"),
            ("roots-http-core", "roots-web"),
            ("roots-http", "roots-mcp"),
            ("roots-http", "roots-server"),
            ("roots-crypto", "roots-http"),
            ("roots-crypto", "roots-http-core"),
            ("roots-persistence", "roots-crypto"),
        ] {
            let tree =
                format!("{package} v0.1.0 (/w)\nroots-domain v0.1.0 (/w)\n{other} v0.1.0 (/w)\n");
            assert_eq!(rule(package).check(&tree).len(), 1, "{package} on {other}");
        }
    }

    #[test]
    fn a_client_that_depends_on_any_crate_of_the_server_is_found() {
        for other in ["roots-domain", "roots-http-core", "roots-crypto"] {
            let tree = format!("roots-client v0.1.0 (/w)\n{other} v0.1.0 (/w)\n");
            assert_eq!(rule("roots-client").check(&tree).len(), 1, "{other}");
        }
    }

    #[test]
    fn a_crate_may_have_the_name_of_a_family_that_it_must_not_reach() {
        let tree = "roots-http-core v0.1.0 (/w)\nroots-domain v0.1.0 (/w)\naxum v0.8.9\n";
        assert_eq!(rule("roots-http-core").check(tree), Vec::<String>::new());
    }

    #[test]
    fn a_tree_without_the_crate_itself_is_found() {
        for tree in ["", "serde v1.0.0\n", "roots-domain-x v0.1.0 (/w)\n"] {
            let found = rule("roots-domain").check(tree);
            assert_eq!(found, ["roots-domain: `cargo tree` does not show it"], "{tree}");
        }
    }

    #[test]
    fn a_name_that_only_starts_the_same_is_another_crate() {
        let tree =
            "roots-domain v0.1.0 (/w)\nringbuf v1.0.0\nstring-ring v1.0.0\nserde v1.0.0 (*)\n";
        assert_eq!(rule("roots-domain").check(tree), Vec::<String>::new());
    }
}
