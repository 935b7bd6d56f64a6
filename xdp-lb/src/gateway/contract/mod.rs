//! Holds requests and answers to what an OpenAPI document says of them.
//!
//! A document is read once, when the configuration is: each schema is compiled, each reference followed, and all that is
//! wrong with it told. It may be of 3.0 or 3.1; both are read by the same code over plain JSON values, as the versions differ
//! only in the dialect of their schemas (see `dialect`). The crates with types for documents (`oas3`, `openapiv3`) have one
//! version each, so that all would be there twice; they keep schemas as types that would have to become JSON again to be
//! compiled; and they do not tell where in the document something is wrong.
//!
//! What is checked: path and method; parameters in path, query, headers and cookies; the content type; bodies of JSON and of
//! forms; of answers status, headers, content type and bodies of JSON. What is not: `security` (verifiers do that), `servers`
//! (a route has `base_path`), multipart and other bodies beyond their type, query parameters that are not described,
//! callbacks, links and webhooks. References out of the document are refused.
//!
//! Nothing that is told holds a value that was sent: that may be secret.

mod answer;
mod dialect;
mod document;
mod error;
mod media;
mod operation;
mod parameter;
mod request;
mod schemas;
mod shape;
mod values;
mod violations;
mod walk;

pub use answer::{CheckedAnswer, Unchecked};
pub use error::{BuildError, Problem};

use std::sync::Arc;

use http::request::Parts;
use http::response;

use super::{Body, Refusal, Violation};
use crate::config::gateway::{ContractUse, Document};
use document::Source;
use error::Problems;
use operation::{Contract, Described};
use schemas::Schemas;

/// The documents of a configuration, compiled.
#[derive(Debug, Default)]
pub struct Contracts {
    contracts: Vec<Contract>,
}

/// The operation that a request asks for.
#[derive(Clone, Debug)]
pub struct Operation {
    described: Arc<Described>,
    /// Whether its answer has no body.
    head: bool,
}

impl Operation {
    /// Its `operationId`, or method and path where it has none.
    pub fn name(&self) -> &str {
        &self.described.name
    }
}

impl Contracts {
    /// Reads and compiles all documents.
    ///
    /// # Errors
    ///
    /// All that is wrong with all of them.
    pub fn build(documents: &[Document]) -> Result<Self, BuildError> {
        let (mut contracts, mut all) = (Vec::new(), Vec::new());
        for document in documents {
            let mut problems = Problems::default();
            let source = Source::read(document, &mut problems);
            contracts.push(source.map(|source| compile(&source, &mut problems)).unwrap_or_default());
            all.extend(problems.0.into_iter().map(|(pointer, value, mend)| Problem {
                document: document.name.clone(),
                path: document.path.clone(),
                pointer,
                value,
                mend,
            }));
        }
        if all.is_empty() { Ok(Self { contracts }) } else { Err(BuildError { problems: all }) }
    }

    /// Checks a request. Gives back its body, the operation it is for, and what is wrong with it where that is only reported.
    ///
    /// `path` is the path as the client sent it, without query. Bodies are read only where a schema is to be checked.
    ///
    /// # Errors
    ///
    /// Where the contract is enforced: 404 and 405 for a path and a method that are not in the document, 415 for another
    /// content type, 413 for a body above the limit, and 400 for all else. They tell all that is wrong. In any mode: what ended
    /// the body early.
    pub async fn check_request(
        &self,
        used: &ContractUse,
        head: &Parts,
        path: &str,
        body: Body,
    ) -> Result<(Body, Option<Operation>, Vec<Violation>), Refusal> {
        match self.contracts.get(used.document) {
            Some(contract) => request::check(contract, used, head, path, body).await,
            None => Ok((body, None, Vec::new())),
        }
    }

    /// Checks an answer to a request that [`check_request`](Self::check_request) knew the operation of.
    ///
    /// # Errors
    ///
    /// Where the contract is enforced: 502, with what is wrong in the cause, for the log only.
    pub async fn check_response(
        &self,
        used: &ContractUse,
        operation: &Operation,
        head: &response::Parts,
        body: Body,
    ) -> Result<CheckedAnswer, Refusal> {
        answer::check(used, operation, head, body).await
    }
}

fn compile(source: &Source, problems: &mut Problems) -> Contract {
    if !problems.0.is_empty() {
        // With references that lead nowhere, all else that would be told follows from them.
        return Contract::default();
    }
    let mut schemas = Schemas::new(source, problems);
    Contract::read(&mut schemas, problems)
}

#[cfg(test)]
mod tests;
