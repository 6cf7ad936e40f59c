//! Tests of the whole module: real documents, damage, chains, writing and reading.

mod chains;
mod damage;
mod hostile;
mod real_documents;
mod written;
