//! The bytes of an input with the name that messages call it by: a file, or what is built into the program.

use std::borrow::Cow;
use std::fs;
use std::io;
use std::io::Read;
use std::path::Path;
use std::path::PathBuf;

use flate2::read::GzDecoder;

use crate::input::InputError;

/// Most bytes that a compressed file may unpack to.
const UNPACKED_MAX: u64 = 1 << 30;

/// An input in memory.
#[derive(Clone, Debug)]
pub struct Document {
    /// What messages call it.
    pub name: String,
    /// Where it lies; `None` for what is built into the program.
    pub path: Option<PathBuf>,
    /// Its bytes.
    pub bytes: Cow<'static, [u8]>,
}

impl Document {
    /// Reads the file at `path`; what is gzip is unpacked.
    ///
    /// # Errors
    /// [`InputError::Unreadable`] where the system refuses it, or gzip is damaged.
    pub fn open(path: &Path) -> Result<Self, InputError> {
        let name = path.display().to_string();
        match fs::read(path).and_then(unpacked) {
            Ok(bytes) => Ok(Self { name, path: Some(path.to_owned()), bytes: Cow::Owned(bytes) }),
            Err(source) => Err(InputError::Unreadable { file: name, source }),
        }
    }

    /// A text built into the program.
    pub fn embedded(name: &str, text: &'static str) -> Self {
        Self::embedded_bytes(name, text.as_bytes())
    }

    /// A file of another kind built into the program.
    pub fn embedded_bytes(name: &str, bytes: &'static [u8]) -> Self {
        Self { name: name.to_owned(), path: None, bytes: Cow::Borrowed(bytes) }
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

fn unpacked(bytes: Vec<u8>) -> io::Result<Vec<u8>> {
    if !bytes.starts_with(&[0x1f, 0x8b]) {
        return Ok(bytes);
    }
    let mut unpacked = Vec::new();
    GzDecoder::new(&bytes[..]).take(UNPACKED_MAX + 1).read_to_end(&mut unpacked)?;
    if unpacked.len() as u64 > UNPACKED_MAX {
        return Err(io::Error::other(format!("it unpacks to more than {UNPACKED_MAX} bytes")));
    }
    Ok(unpacked)
}
