//! One connection: texts in, rows of text out, faults sorted into "the server said no" and "the
//! connection is gone".
//!
//! Only the simple query protocol: nothing is ever prepared under a name, so that poolers cannot
//! mix it up, and a whole script is one round trip.

use std::sync::{Arc, Mutex, PoisonError};

use postgres::{
    CancelToken, Client, SimpleQueryMessage,
    error::{DbError, ErrorPosition, Severity},
};
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::{error::Cause, interrupt};

/// An error that the server reported.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ServerError {
    pub(crate) sqlstate: String,
    pub(crate) message: String,
    pub(crate) detail: Option<String>,
    pub(crate) hint: Option<String>,
    /// 1-based, in *characters* of the text that was sent. `None` for a position inside a function.
    pub(crate) position: Option<usize>,
    /// The call stack of functions, where there is one.
    pub(crate) context: Option<String>,
    pub(crate) constraint: Option<String>,
}

impl ServerError {
    fn of(error: &DbError) -> Self {
        Self {
            sqlstate: error.code().code().to_owned(),
            message: error.message().to_owned(),
            detail: error.detail().map(str::to_owned),
            hint: error.hint().map(str::to_owned),
            position: match error.position() {
                Some(ErrorPosition::Original(position)) => usize::try_from(*position).ok(),
                _ => None,
            },
            context: error.where_().map(str::to_owned),
            constraint: error.constraint().map(str::to_owned),
        }
    }

    pub(crate) fn is(&self, sqlstate: &str) -> bool {
        self.sqlstate == sqlstate
    }
}

/// Why a text was not carried out.
#[derive(Debug)]
pub(crate) enum Fault {
    /// The server refused; the session lives.
    Server(ServerError),
    /// The connection is gone, and with it the knowledge of what became of the last text.
    Lost(Cause),
}

impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Server(error) => write!(f, "{} (SQLSTATE {})", error.message, error.sqlstate),
            Self::Lost(cause) => write!(f, "the connection to the database was lost: {cause}"),
        }
    }
}

/// What a query gave, all values as text.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Rows {
    pub(crate) columns: Vec<String>,
    pub(crate) rows: Vec<Vec<Option<String>>>,
}

impl Rows {
    /// The first value of the first row.
    pub(crate) fn value(&self) -> Option<&str> {
        self.rows.first()?.first()?.as_deref()
    }

    /// The value of a named column of a row; `""` for NULL and for a column that is not there.
    pub(crate) fn get<'a>(&self, row: &'a [Option<String>], column: &str) -> &'a str {
        let at = self.columns.iter().position(|name| name == column);
        at.and_then(|at| row.get(at)).and_then(Option::as_deref).unwrap_or_default()
    }
}

/// A message that the server sent beside its answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Notice {
    pub(crate) warning: bool,
    pub(crate) message: String,
    pub(crate) detail: Option<String>,
}

/// Where notices wait until somebody asks for them.
#[derive(Clone, Default)]
pub(super) struct Notices(Arc<Mutex<Vec<Notice>>>);

impl Notices {
    pub(super) fn push(&self, notice: &DbError) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(Notice {
            warning: notice.parsed_severity() == Some(Severity::Warning),
            message: notice.message().to_owned(),
            detail: notice.detail().map(str::to_owned),
        });
    }
}

/// Cancels what a session is running, from any thread.
#[derive(Clone)]
pub(crate) struct Canceller {
    token: CancelToken,
    tls: MakeRustlsConnect,
}

impl Canceller {
    pub(crate) fn cancel(&self) {
        if let Err(error) = self.token.cancel_query(self.tls.clone()) {
            log::debug!("the running statement could not be cancelled: {error}");
        }
    }
}

/// A connection to one database.
pub(crate) struct Session {
    client: Client,
    tls: MakeRustlsConnect,
    notices: Notices,
}

impl Session {
    pub(super) fn new(client: Client, tls: MakeRustlsConnect, notices: Notices) -> Self {
        Self { client, tls, notices }
    }

    /// Runs a text of any number of statements, dropping what they give. One round trip.
    pub(crate) fn execute(&mut self, sql: &str) -> Result<(), Fault> {
        interrupt::waiting(|| self.client.batch_execute(sql)).map_err(|error| self.fault(error))
    }

    /// Runs a text of any number of statements. One round trip. One element for each that gives rows.
    pub(crate) fn query(&mut self, sql: &str) -> Result<Vec<Rows>, Fault> {
        let messages =
            interrupt::waiting(|| self.client.simple_query(sql)).map_err(|error| self.fault(error))?;
        let mut results = Vec::new();
        for message in messages {
            match message {
                SimpleQueryMessage::RowDescription(columns) => results.push(Rows {
                    columns: columns.iter().map(|column| column.name().to_owned()).collect(),
                    rows: Vec::new(),
                }),
                SimpleQueryMessage::Row(row) => {
                    let values = (0..row.len()).map(|at| row.get(at).map(str::to_owned)).collect();
                    if let Some(result) = results.last_mut() {
                        result.rows.push(values);
                    }
                }
                _ => {}
            }
        }
        Ok(results)
    }

    /// The rows of a text that gives one set of them.
    pub(crate) fn rows(&mut self, sql: &str) -> Result<Rows, Fault> {
        Ok(self.query(sql)?.pop().unwrap_or_default())
    }

    /// What the server has said since the last call.
    pub(crate) fn take_notices(&mut self) -> Vec<Notice> {
        std::mem::take(&mut *self.notices.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub(crate) fn canceller(&self) -> Canceller {
        Canceller { token: self.client.cancel_token(), tls: self.tls.clone() }
    }

    fn fault(&self, error: postgres::Error) -> Fault {
        match error.as_db_error() {
            // A server that shuts down says so and then hangs up: 57P01 to 57P05.
            Some(db) if !self.client.is_closed() && !db.code().code().starts_with("57P0") => {
                Fault::Server(ServerError::of(db))
            }
            Some(db) => Fault::Lost(db.message().to_owned().into()),
            None => Fault::Lost(error.into()),
        }
    }
}

/// The database's own error of a failed login, where it is one.
pub(super) fn server_error(error: &postgres::Error) -> Option<ServerError> {
    error.as_db_error().map(ServerError::of)
}
