use std::path::PathBuf;

/// `[[openapi]]`: a document of OpenAPI 3.0 or 3.1.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Document {
    /// In routes.
    pub name: String,
    /// The file, JSON or YAML; read again on reload.
    pub path: PathBuf,
}

/// `[route.openapi]`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ContractUse {
    /// Index of the document.
    pub document: usize,
    /// What of the path comes before the document's paths; does not end in `/`.
    pub base_path: String,
    /// Whether requests have to keep to it.
    pub requests: ContractMode,
    /// Whether answers have to.
    pub responses: ContractMode,
    /// Largest body that is checked, in bytes; a larger one is refused (request: 413) or let be (answer).
    pub most_bytes: u32,
}

/// What follows from a violation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ContractMode {
    /// Nothing is checked.
    Off,
    /// It is logged and counted.
    Report,
    /// It is refused: a request with 400, an answer with 502.
    Enforce,
}
