//! Scripts in rhai: compiled once, called with values, ended when they run away.

use rhai::{AST, CallFnOptions, Dynamic, EvalAltResult, ParseError, Position, Scope};
use tidewire_model::Value;

use crate::convert::{from_dynamic, to_dynamic};
use crate::engine::{ENGINE, OPERATIONS_MAX, TIME_MAX, within_time};

/// A compiled script. Calls do not see each other: nothing is kept between them.
#[derive(Debug, Clone)]
pub struct Script {
    ast: AST,
    entry: Entry,
}

#[derive(Debug, Clone)]
enum Entry {
    /// The names of the arguments.
    Expression(Vec<String>),
    Function(String),
}

/// What is wrong with a script, or went wrong in it, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text}{}", place(*.line, *.column))]
pub struct ScriptError {
    pub text: String,
    /// From 1, where it is known.
    pub line: Option<usize>,
    /// From 1, where it is known.
    pub column: Option<usize>,
    /// It ran into the limit of its time or of its steps.
    pub runaway: bool,
}

fn place(line: Option<usize>, column: Option<usize>) -> String {
    match (line, column) {
        (Some(line), Some(column)) => format!(" (line {line}, column {column})"),
        (Some(line), None) => format!(" (line {line})"),
        _ => String::new(),
    }
}

impl Script {
    /// Compiles one expression over named arguments, such as `msg.payload.t > 30`.
    ///
    /// # Errors
    /// It is no expression, or uses a name that is not there.
    pub fn compile_expression(text: &str, arguments: &[&str]) -> Result<Script, ScriptError> {
        let mut scope = Scope::new();
        for name in arguments {
            scope.push(*name, ());
        }
        let ast = ENGINE.compile_expression_with_scope(&scope, text).map_err(|error| of_parse(&error))?;
        Ok(Script { ast, entry: Entry::Expression(arguments.iter().map(|name| (*name).to_owned()).collect()) })
    }

    /// Compiles a script that defines the function `name` with `arity` arguments. Only the function is called; code
    /// outside functions does not run.
    ///
    /// # Errors
    /// It does not compile, or has no such function.
    pub fn compile_function(text: &str, name: &str, arity: usize) -> Result<Script, ScriptError> {
        let ast = ENGINE.compile(text).map_err(|error| of_parse(&error))?;
        if ast.iter_functions().any(|function| function.name == name && function.params.len() == arity) {
            return Ok(Script { ast, entry: Entry::Function(name.to_owned()) });
        }
        let text = format!("the script has no function \"{name}\" with {arity} arguments");
        Err(at(text, Position::NONE))
    }

    /// Evaluates the expression, or calls the function.
    ///
    /// # Errors
    /// What the script threw, what it did wrong, or the limit it ran into.
    pub fn call(&self, arguments: &[Value]) -> Result<Value, ScriptError> {
        let result = within_time(|| self.run(arguments).and_then(from_dynamic));
        result.map_err(|error| of_run(&error))
    }

    fn run(&self, arguments: &[Value]) -> Result<Dynamic, Box<EvalAltResult>> {
        match &self.entry {
            Entry::Expression(names) => {
                let mut scope = Scope::new();
                for (name, value) in names.iter().zip(arguments) {
                    scope.push_dynamic(name.as_str(), to_dynamic(value));
                }
                ENGINE.eval_ast_with_scope(&mut scope, &self.ast)
            }
            Entry::Function(name) => {
                let arguments: Vec<Dynamic> = arguments.iter().map(to_dynamic).collect();
                let options = CallFnOptions::new().eval_ast(false).rewind_scope(false);
                ENGINE.call_fn_with_options(options, &mut Scope::new(), &self.ast, name, arguments)
            }
        }
    }
}

fn at(text: String, position: Position) -> ScriptError {
    ScriptError { text, line: position.line(), column: position.position(), runaway: false }
}

fn runaway(text: String, position: Position) -> ScriptError {
    ScriptError { runaway: true, ..at(text, position) }
}

fn of_parse(error: &ParseError) -> ScriptError {
    at(error.err_type().to_string(), error.position())
}

fn of_run(error: &EvalAltResult) -> ScriptError {
    match error {
        EvalAltResult::ErrorInFunctionCall(_, _, inner, position) => {
            let mut inner = of_run(inner);
            inner.line = inner.line.or(position.line());
            inner
        }
        EvalAltResult::ErrorRuntime(thrown, position) => at(thrown.to_string(), *position),
        EvalAltResult::ErrorTerminated(_, position) => {
            runaway(format!("the script ran longer than {} ms", TIME_MAX.as_millis()), *position)
        }
        EvalAltResult::ErrorTooManyOperations(position) => {
            runaway(format!("the script made more than {OPERATIONS_MAX} steps"), *position)
        }
        other => {
            let mut plain = other.clone_without_position();
            plain.truncate(500);
            at(plain, other.position())
        }
    }
}

trait WithoutPosition {
    fn clone_without_position(&self) -> String;
}

impl WithoutPosition for EvalAltResult {
    /// The text without the place, which is told apart.
    fn clone_without_position(&self) -> String {
        let text = self.to_string();
        match (text.rfind(" (line "), self.position().is_none()) {
            (Some(end), false) => text.get(..end).unwrap_or(&text).to_owned(),
            _ => text,
        }
    }
}

#[cfg(test)]
mod tests;
