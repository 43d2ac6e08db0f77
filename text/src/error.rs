//! Failures with the codes of the C header.

pub struct Error {
    pub code: i32,
    pub message: String,
}

pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    pub fn invalid(message: impl Into<String>) -> Self {
        Error { code: 1, message: message.into() }
    }
    pub fn too_large(message: impl Into<String>) -> Self {
        Error { code: 2, message: message.into() }
    }
    pub fn unsupported(message: impl Into<String>) -> Self {
        Error { code: 3, message: message.into() }
    }
    pub fn internal(message: impl Into<String>) -> Self {
        Error { code: 4, message: message.into() }
    }
}
