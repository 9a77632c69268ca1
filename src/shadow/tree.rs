//! A private copy of the installation that the shadow's server runs from.
//!
//! A server looks for its SQL files and modules relative to the real path of its own program
//! (`make_relative_path` in Postgres' `src/port/path.c`). So a copied `postgres` beside links to
//! everything else has an extension folder of its own, and nobody's system is touched. In it:
//!
//! - extensions that Supabase has and this machine lacks are stand-ins: names and signatures;
//! - extensions that Supabase lets the role `postgres` create are marked trusted;
//! - what could reach the network is left out: the modules of `dblink`, `postgres_fdw` and of
//!   subscriptions.

use std::{
    fs, io,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
};

use super::{assets, binaries::Binaries};
use crate::error::Error;

/// On Supabase these need no superuser (`supautils.privileged_extensions`); a plain server answers
/// "permission denied to create extension".
const PRIVILEGED: &[&str] = &[
    "autoinc",
    "bloom",
    "btree_gin",
    "btree_gist",
    "citext",
    "cube",
    "dict_int",
    "dict_xsyn",
    "earthdistance",
    "fuzzystrmatch",
    "hstore",
    "hypopg",
    "insert_username",
    "intarray",
    "isn",
    "ltree",
    "moddatetime",
    "pg_buffercache",
    "pg_cron",
    "pg_prewarm",
    "pg_repack",
    "pg_stat_statements",
    "pg_trgm",
    "pg_walinspect",
    "pgcrypto",
    "pgrowlocks",
    "pgstattuple",
    "pgtap",
    "plpgsql_check",
    "postgis",
    "postgis_raster",
    "postgis_sfcgal",
    "postgis_tiger_geocoder",
    "postgis_topology",
    "pgrouting",
    "refint",
    "rum",
    "seg",
    "sslinfo",
    "tablefunc",
    "tcn",
    "tsm_system_rows",
    "tsm_system_time",
    "unaccent",
    "uuid-ossp",
    "vector",
];

/// Modules that would open a connection to wherever the SQL says.
const NETWORK: &[&str] = &["dblink", "postgres_fdw", "libpqwalreceiver", "pg_net", "http", "pg_cron"];

/// What else Supabase offers and this machine may lack.
/// <https://supabase.com/docs/guides/database/extensions>
const OFFERED: &[&str] = &[
    "address_standardizer",
    "address_standardizer_data_us",
    "pg_partman",
    "pg_stat_monitor",
    "pgroonga",
    "pgroonga_database",
    "plcoffee",
    "plls",
    "plv8",
];

/// The name of an extension that Supabase has and this server lacks, if that is what the error says.
pub(super) fn unavailable(code: &str, message: &str) -> Option<String> {
    if !matches!(code, "0A000" | "58P01" | "22023") {
        return None;
    }
    let name = message.strip_prefix("extension \"")?.split_once("\" is not available")?.0;
    let stand_in = || assets::EXTENSIONS.iter().any(|(file, _)| *file == format!("{name}.control"));
    let offered = PRIVILEGED.contains(&name) || OFFERED.contains(&name) || stand_in();
    offered.then(|| name.to_owned())
}

/// Builds the tree in `root` and returns the path of its `postgres`.
pub(super) fn build(binaries: &Binaries, root: &Path) -> Result<PathBuf, Error> {
    plant(binaries, root).map_err(|error| {
        Error::io(
            format!("the shadow's private copy of Postgres cannot be made in {}", root.display()),
            "Make room in the folder for temporary files, or set TMPDIR to another one.",
            error,
        )
    })
}

fn plant(binaries: &Binaries, root: &Path) -> io::Result<PathBuf> {
    let common: PathBuf = binaries
        .bin
        .components()
        .zip(binaries.share.components())
        .zip(binaries.lib.components())
        .take_while(|((bin, share), lib)| bin == share && share == lib)
        .map(|((component, _), _)| component)
        .collect();
    let inside = |path: &Path| root.join(path.strip_prefix(&common).unwrap_or(path));
    let (bin, share, lib) = (inside(&binaries.bin), inside(&binaries.share), inside(&binaries.lib));
    let extensions = share.join("extension");
    for folder in [&bin, &extensions, &lib] {
        fs::create_dir_all(folder)?;
    }
    let program = bin.join("postgres");
    fs::copy(binaries.bin.join("postgres"), &program)?;
    link_entries(&binaries.share, &share, |name| name != "extension")?;
    link_entries(&binaries.lib, &lib, |name| !NETWORK.contains(&stem(name)))?;
    link_entries(&binaries.share.join("extension"), &extensions, |name| !NETWORK.contains(&stem(name)))?;
    // Builds that carry their own libraries find them relative to the program as well.
    if let Some(beside) = binaries.bin.parent().map(|home| home.join("lib"))
        && beside != binaries.lib
        && binaries.lib.starts_with(&beside)
    {
        link_entries(&beside, &inside(&beside), |_| true)?;
    }
    for (name, text) in assets::EXTENSIONS {
        let control = extensions.join(format!("{}.control", stem(name)));
        let ours = name.ends_with("--shadow.sql") || !control.exists();
        // A script without our control file beside it would never be read.
        if ours && !extensions.join(name).exists() && !(name.ends_with(".sql") && control.is_symlink()) {
            fs::write(extensions.join(name), text)?;
        }
    }
    for name in PRIVILEGED {
        trust(&extensions.join(format!("{name}.control")))?;
    }
    Ok(program)
}

/// The name of the extension or module that a file belongs to.
fn stem(name: &str) -> &str {
    let end = name.find("--").or_else(|| name.find('.')).unwrap_or(name.len());
    &name[..end]
}

fn link_entries(from: &Path, to: &Path, wanted: impl Fn(&str) -> bool) -> io::Result<()> {
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let name = entry.file_name();
        let target = to.join(&name);
        if wanted(&name.to_string_lossy()) && fs::symlink_metadata(&target).is_err() {
            symlink(entry.path(), target)?;
        }
    }
    Ok(())
}

/// Replaces the link to a control file by a copy that says `trusted = true`.
fn trust(control: &Path) -> io::Result<()> {
    if !control.is_symlink() {
        return Ok(());
    }
    let mut text = fs::read_to_string(control)?;
    if text.lines().any(|line| line.trim_start().starts_with("trusted")) {
        return Ok(());
    }
    text.push_str("\ntrusted = true\n");
    fs::remove_file(control)?;
    fs::write(control, text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_belongs_to_its_extension() {
        assert_eq!(stem("dblink--1.1--1.2.sql"), "dblink");
        assert_eq!(stem("uuid-ossp.control"), "uuid-ossp");
        assert_eq!(stem("postgres_fdw.so"), "postgres_fdw");
    }
}
