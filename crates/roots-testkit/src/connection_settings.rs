//! The settings of a connection to PostgreSQL, read from what its client sends.

use sqlparser::ast::{ContextModifier, Set, Statement};
use sqlparser::dialect::PostgreSqlDialect;
use sqlparser::parser::Parser;

/// The setting that decides how prepared statements are planned.
const PLAN_CACHE_MODE: &str = "plan_cache_mode";

/// How prepared statements are planned.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum PlanCacheMode {
    /// Each time, or once, as PostgreSQL decides.
    #[default]
    Auto,
    /// Once, without the values of the parameters.
    ForceGeneric,
    /// Each time.
    ForceCustom,
}

impl PlanCacheMode {
    fn parse(text: &str) -> Self {
        match text {
            "force_generic_plan" => Self::ForceGeneric,
            "force_custom_plan" => Self::ForceCustom,
            _ => Self::Auto,
        }
    }
}

/// The node of a cluster that a connection leads to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Node {
    /// The coordinator, which holds no rows of tenants.
    #[default]
    Coordinator,
    /// The worker that holds the rows of every account that the statements name.
    Worker,
}

/// The settings of a connection that decide which statements a cluster accepts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ConnectionSettings {
    /// How its prepared statements are planned.
    pub plan_cache_mode: PlanCacheMode,
    /// Where it leads to.
    pub node: Node,
}

/// The settings of a connection, as its client changes them.
#[derive(Debug, Default)]
pub struct TrackedSettings {
    of_session: ConnectionSettings,
    of_transaction: Option<PlanCacheMode>,
}

impl TrackedSettings {
    /// The settings that a startup message asks for, from its body after the version.
    #[must_use]
    pub fn at_start(body: &[u8]) -> Self {
        let mut settings = Self::default();
        let words: Vec<_> = body.split(|byte| *byte == 0).map(String::from_utf8_lossy).collect();
        for pair in words.chunks_exact(2) {
            let assignments: Vec<_> = match &*pair[0] {
                "options" => pair[1].split_whitespace().collect(),
                PLAN_CACHE_MODE => vec![&*pair[1]],
                _ => continue,
            };
            for assignment in assignments {
                let (name, value) =
                    assignment.split_once('=').unwrap_or((PLAN_CACHE_MODE, assignment));
                if name.trim_start_matches('-') == PLAN_CACHE_MODE {
                    settings.of_session.plan_cache_mode = PlanCacheMode::parse(value);
                }
            }
        }
        settings
    }

    /// What is in force.
    #[must_use]
    pub fn now(&self) -> ConnectionSettings {
        let of_session = self.of_session;
        let plan_cache_mode = self.of_transaction.unwrap_or(of_session.plan_cache_mode);
        ConnectionSettings { plan_cache_mode, ..of_session }
    }

    /// Follows a statement that is run.
    pub fn run(&mut self, sql: &str) {
        let first = sql.split_whitespace().next().unwrap_or_default();
        let ends = ["COMMIT", "ROLLBACK", "END", "ABORT"];
        if ends.iter().any(|end| first.trim_end_matches(';').eq_ignore_ascii_case(end)) {
            self.of_transaction = None;
        }
        if !sql.contains(PLAN_CACHE_MODE) {
            return;
        }
        let Ok(statements) = Parser::parse_sql(&PostgreSqlDialect {}, sql) else { return };
        for statement in statements {
            let Statement::Set(Set::SingleAssignment { scope, variable, values, .. }) = statement
            else {
                continue;
            };
            if variable.to_string() != PLAN_CACHE_MODE {
                continue;
            }
            let value = values.first().map(ToString::to_string).unwrap_or_default();
            let mode = PlanCacheMode::parse(value.trim_matches('\''));
            if scope == Some(ContextModifier::Local) {
                self.of_transaction = Some(mode);
            } else {
                (self.of_session.plan_cache_mode, self.of_transaction) = (mode, None);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_those_of_the_start_until_a_statement_changes_them() {
        let start = b"user\0roots\0options\0-c jit=off -c plan_cache_mode=force_generic_plan\0\0";
        let mut settings = TrackedSettings::at_start(start);
        assert_eq!(settings.now().plan_cache_mode, PlanCacheMode::ForceGeneric);
        for (sql, mode) in [
            ("BEGIN", PlanCacheMode::ForceGeneric),
            ("SET LOCAL plan_cache_mode = force_custom_plan", PlanCacheMode::ForceCustom),
            ("SELECT 1", PlanCacheMode::ForceCustom),
            ("COMMIT", PlanCacheMode::ForceGeneric),
            ("SET plan_cache_mode = 'auto'", PlanCacheMode::Auto),
            ("ROLLBACK", PlanCacheMode::Auto),
        ] {
            settings.run(sql);
            assert_eq!(settings.now().plan_cache_mode, mode, "{sql}");
        }
        let start = b"plan_cache_mode\0force_generic_plan\0\0";
        assert_eq!(
            TrackedSettings::at_start(start).now().plan_cache_mode,
            PlanCacheMode::ForceGeneric
        );
        assert_eq!(
            TrackedSettings::at_start(b"user\0roots\0\0").now(),
            ConnectionSettings::default()
        );
    }
}
