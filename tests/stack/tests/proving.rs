//! What the gate before the AWS services shows: what functions may do, what they cost, and that they may die at any step.

mod cost;
mod iam;
mod steps;
mod tour;
