//! What there is to go back to, should a rollback take more than it was meant to.

use serde::Deserialize;

use super::project::Project;
use crate::error::Error;

/// The answer of `GET /v1/projects/{ref}/database/backups`.
#[derive(Debug, Clone, Default, Deserialize)]
pub(crate) struct Backups {
    #[serde(default)]
    pitr_enabled: bool,
    #[serde(default)]
    backups: Vec<Backup>,
    #[serde(default)]
    physical_backup_data: Physical,
}

#[derive(Debug, Clone, Deserialize)]
struct Backup {
    #[serde(default)]
    status: String,
    #[serde(default)]
    inserted_at: String,
}

#[derive(Debug, Clone, Default, Deserialize)]
struct Physical {
    earliest_physical_backup_date_unix: Option<i64>,
    latest_physical_backup_date_unix: Option<i64>,
}

impl Backups {
    /// When the newest finished backup was made, in the API's words.
    pub(crate) fn newest(&self) -> Option<&str> {
        let finished = self.backups.iter().filter(|backup| backup.status == "COMPLETED");
        // All in one format, the newest is the greatest.
        finished.map(|backup| backup.inserted_at.as_str()).max()
    }

    /// The seconds since 1970 between which point-in-time recovery reaches; `None` where it is off.
    pub(crate) fn recoverable(&self) -> Option<(i64, i64)> {
        let Physical { earliest_physical_backup_date_unix, latest_physical_backup_date_unix } =
            self.physical_backup_data;
        let range = earliest_physical_backup_date_unix.zip(latest_physical_backup_date_unix);
        range.filter(|_| self.pitr_enabled)
    }

    pub(crate) fn pitr_enabled(&self) -> bool {
        self.pitr_enabled
    }
}

impl Project {
    /// What the platform keeps of the database.
    pub(crate) fn backups(&self) -> Result<Backups, Error> {
        self.get("/database/backups", "backups_read")
    }
}
