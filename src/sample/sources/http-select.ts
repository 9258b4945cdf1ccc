/** JMESPath over an answer, with bounds: on the text of an expression, and on the time that it takes. */
import { createContext, Script } from "node:vm";
import { compile, type JSONValue, TreeInterpreter } from "@jmespath-community/jmespath";
import { messageOf, Problem } from "../../core/problem.ts";

const charsMax = 2_000;
/**
 * The process stands still while an expression is worked out, so that it cannot be long. It is counted by the clock, so
 * that it cannot be short either: a machine with much else to do may give us no turn for a while.
 */
const evaluationMsMax = 1_000;

/** What is wrong with an expression as text, as `CODE what. Fix: fix`; null if nothing is. */
export function expressionFault(text: string): string | null {
  if (text.length > charsMax) return `CFG-003 longer than ${charsMax} characters. Fix: take it apart`;
  try {
    compile(text);
    return null;
  } catch (thrown) {
    return `NET-016 no JMESPath: ${oneLine(messageOf(thrown))}. Fix: see jmespath.site`;
  }
}

// Nothing untrusted runs in here. A script is what Node can stop after a time, whatever function it is in.
const script = new Script("run()");
const sandbox: { run: () => unknown } = { run: () => null };
const context = createContext(sandbox);

/**
 * What the expression finds in `value`.
 * @throws Problem NET-016 if it fails, or, worth another try, takes longer than a second
 */
export function select(value: unknown, expression: string): unknown {
  if (expression === "@") return value;
  const tree = compile(expression);
  sandbox.run = () => TreeInterpreter.search(tree, value as JSONValue);
  try {
    return script.runInContext(context, { timeout: evaluationMsMax });
  } catch (thrown) {
    const late = (thrown as { code?: unknown }).code === "ERR_SCRIPT_EXECUTION_TIMEOUT";
    const what = late ? `takes longer than ${evaluationMsMax} ms` : `failed: ${oneLine(messageOf(thrown))}`;
    throw new Problem(`the expression ${JSON.stringify(expression.slice(0, 100))} ${what}`, {
      code: "NET-016",
      retryable: late,
      fix: late ? "ask the server for less, or write a simpler one" : "try it on an answer of the server",
    });
  } finally {
    sandbox.run = () => null;
  }
}

function oneLine(text: string): string {
  return text
    .replace(/^Syntax error: /, "")
    .replace(/\s+/g, " ")
    .slice(0, 150);
}
