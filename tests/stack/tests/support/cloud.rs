//! Which cloud the tests run on: `PIECEWORK_CLOUD=ministack` puts an independent emulator in the place of the embedded servers.

use std::{io::Write as _, sync::LazyLock};

use local::Cloud;

use super::root;

/// What is not asked of another cloud, and why. See docs/decisions/second-cloud.md.
const LEFT_OUT: &[(&str, &str)] = &[(
    "units of BatchGetItem",
    "ministack gives no ConsumedCapacity for it, which DynamoDB does; proving::cost compares that row's calls alone",
)];

/// The cloud of every stack.
pub fn cloud() -> &'static Cloud {
    static CLOUD: LazyLock<Cloud> = LazyLock::new(|| Cloud::from_env(root()).unwrap());
    &CLOUD
}

/// Whether something is left out with the cloud that is switched on; says so past the capture of output.
pub fn left_out(what: &str) -> bool {
    let Some((what, reason)) = LEFT_OUT.iter().find(|(name, _)| *name == what) else {
        panic!("{what} is not on the list");
    };
    let out = *cloud() != Cloud::Embedded;
    if out {
        // Not by a macro, whose output the test harness would keep to itself.
        std::io::stderr().write_all(format!("left out: {what}: {reason}\n").as_bytes()).unwrap();
    }
    out
}
