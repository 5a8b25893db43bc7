//! The one place where the script engine is set up, with all its limits.

use std::cell::Cell;
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use rhai::packages::{
    BasicArrayPackage, BasicBlobPackage, BasicMapPackage, BasicMathPackage, BitFieldPackage, CorePackage, LogicPackage,
    MoreStringPackage, Package,
};
use rhai::{Dynamic, Engine, EvalAltResult, FLOAT, INT, Position};

use crate::{text, tree};

/// Steps of one call.
pub(crate) const OPERATIONS_MAX: u64 = 1_000_000;
/// Time of one call.
pub(crate) const TIME_MAX: Duration = Duration::from_millis(100);
/// Longest text, in bytes.
pub(crate) const TEXT_MAX: usize = 64 * 1024;
/// Most items of a list or an object.
pub(crate) const ITEMS_MAX: usize = 10_000;
const CALL_LEVELS_MAX: usize = 32;
const EXPRESSION_DEPTH_MAX: usize = 64;
const VARIABLES_MAX: usize = 256;
const FUNCTIONS_MAX: usize = 200;
/// Steps between two looks at the clock: few, because one may be a function that walks through a long text.
const CLOCK_EVERY: u64 = 16;

/// Shared by all scripts: what a script needs of its own is in its scope.
pub(crate) static ENGINE: LazyLock<Engine> = LazyLock::new(engine);

thread_local! {
    static DEADLINE: Cell<Option<Instant>> = const { Cell::new(None) };
}

/// Runs `call` with the clock ticking. The clock only ends what runs away; scripts cannot see it.
pub(crate) fn within_time<T>(call: impl FnOnce() -> T) -> T {
    struct Stop;
    impl Drop for Stop {
        fn drop(&mut self) {
            DEADLINE.set(None);
        }
    }
    DEADLINE.set(Instant::now().checked_add(TIME_MAX));
    let _stop = Stop;
    call()
}

fn engine() -> Engine {
    let mut engine = Engine::new_raw();
    CorePackage::new().register_into_engine(&mut engine);
    LogicPackage::new().register_into_engine(&mut engine);
    BitFieldPackage::new().register_into_engine(&mut engine);
    BasicMathPackage::new().register_into_engine(&mut engine);
    BasicArrayPackage::new().register_into_engine(&mut engine);
    BasicBlobPackage::new().register_into_engine(&mut engine);
    BasicMapPackage::new().register_into_engine(&mut engine);
    MoreStringPackage::new().register_into_engine(&mut engine);

    engine
        .set_max_operations(OPERATIONS_MAX)
        .set_max_call_levels(CALL_LEVELS_MAX)
        .set_max_expr_depths(EXPRESSION_DEPTH_MAX, EXPRESSION_DEPTH_MAX)
        .set_max_string_size(TEXT_MAX)
        .set_max_array_size(ITEMS_MAX)
        .set_max_map_size(ITEMS_MAX)
        .set_max_variables(VARIABLES_MAX)
        .set_max_functions(FUNCTIONS_MAX)
        .set_max_modules(0)
        .set_strict_variables(true)
        .disable_symbol("eval")
        .disable_symbol("import")
        .disable_symbol("export");
    engine.on_progress(|steps| {
        if steps % CLOCK_EVERY != 0 {
            return None;
        }
        DEADLINE.get().filter(|deadline| Instant::now() > *deadline).map(|_| Dynamic::from("time"))
    });

    // The core package can sleep, which would hold up the whole flow.
    engine.register_fn("sleep", |_: INT| refuse());
    engine.register_fn("sleep", |_: FLOAT| refuse());
    tree::register(&mut engine);
    text::register(&mut engine);
    engine
}

fn refuse() -> Result<(), Box<EvalAltResult>> {
    Err(error("a script cannot sleep"))
}

/// An error at the place where the script is.
pub(crate) fn error(text: impl Into<String>) -> Box<EvalAltResult> {
    Box::new(EvalAltResult::ErrorRuntime(Dynamic::from(text.into()), Position::NONE))
}
