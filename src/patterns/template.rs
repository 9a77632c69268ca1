//! An empty migration with the places to fill in.

use super::{Arguments, Key, Pattern, PatternError, Phase, Spec};

pub(super) static SPEC: Spec = Spec {
    name: "template",
    summary: "An empty migration with both sections and a reminder of what to think of.",
    keys: &[Key::optional("description", "what the migration does")],
    example: "description='Add user preferences'",
    build: |arguments: &Arguments<'_>| {
        generate_migration_template(&Template::new(arguments.get("description").unwrap_or("New migration")))
    },
};

/// A migration still to be written.
#[derive(Debug, Clone)]
pub struct Template {
    description: String,
}

impl Template {
    /// A migration that does what the description says.
    pub fn new(description: impl Into<String>) -> Self {
        Self { description: description.into() }
    }
}

/// Writes a template: both sections, empty.
///
/// ```
/// use lockkeeper::patterns::{Template, generate_migration_template};
///
/// let pattern = generate_migration_template(&Template::new("Add user preferences"))?;
/// let text = pattern.file(0, &pattern.describe(0), true);
/// assert!(text.contains("-- UP MIGRATION") && text.contains("-- DOWN MIGRATION (ROLLBACK)"));
/// # Ok::<(), lockkeeper::patterns::PatternError>(())
/// ```
pub fn generate_migration_template(template: &Template) -> Result<Pattern, PatternError> {
    let up = "-- Write the change here. `lockkeeper pattern` lists safe ways to write common ones.\n";
    // Not on a line of its own, where it would be the directive and say that DOWN is left out on purpose.
    let down = "-- Write what undoes it here, in the opposite order; or, if nothing can, a line\n\
                -- `-- lockkeeper: irreversible` with the reason.\n";
    Pattern::new(
        template.description.clone(),
        vec![Phase { name: "template", notes: Vec::new(), up: up.into(), down: down.into() }],
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn has_both_sections() {
        let pattern = generate_migration_template(&Template::new("Add user preferences")).unwrap();
        insta::assert_snapshot!(pattern.file(0, "Add user preferences", true), @r"
        -- Description: Add user preferences

        -- UP MIGRATION
        -- Write the change here. `lockkeeper pattern` lists safe ways to write common ones.

        -- DOWN MIGRATION (ROLLBACK)
        /*
        -- Write what undoes it here, in the opposite order; or, if nothing can, a line
        -- `-- lockkeeper: irreversible` with the reason.
        */
        ");
    }
}
