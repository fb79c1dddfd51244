//! The embedded AWS services, each on its own port, each made to hold what the templates declare.

pub mod awsim;
pub mod dynamodb;
pub mod s3;
pub mod sqs;
