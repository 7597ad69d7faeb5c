//! The bytes of an input with the name that messages call it by: a file, or a text built into the program.

use std::borrow::Cow;
use std::fs;
use std::path::Path;
use std::path::PathBuf;

use crate::input::InputError;

/// An input in memory.
#[derive(Clone, Debug)]
pub struct Document {
    /// What messages call it.
    pub name: String,
    /// Where it lies; `None` for a text built into the program.
    pub path: Option<PathBuf>,
    /// Its bytes.
    pub bytes: Cow<'static, [u8]>,
}

impl Document {
    /// Reads the file at `path`.
    ///
    /// # Errors
    /// [`InputError::Unreadable`] where the system refuses it.
    pub fn open(path: &Path) -> Result<Self, InputError> {
        let name = path.display().to_string();
        match fs::read(path) {
            Ok(bytes) => Ok(Self { name, path: Some(path.to_owned()), bytes: Cow::Owned(bytes) }),
            Err(source) => Err(InputError::Unreadable { file: name, source }),
        }
    }

    /// A text built into the program.
    pub fn embedded(name: &str, text: &'static str) -> Self {
        Self { name: name.to_owned(), path: None, bytes: Cow::Borrowed(text.as_bytes()) }
    }

    /// Whether the content is, or by its name claims to be, Parquet.
    pub(crate) fn is_parquet(&self) -> bool {
        self.has_parquet_magic() || self.has_parquet_extension()
    }

    /// Whether the content begins as every Parquet file does.
    pub(crate) fn has_parquet_magic(&self) -> bool {
        self.bytes.starts_with(b"PAR1")
    }

    fn has_parquet_extension(&self) -> bool {
        let extension = self.path.as_deref().and_then(Path::extension);
        extension.is_some_and(|extension| extension.eq_ignore_ascii_case("parquet"))
    }
}
