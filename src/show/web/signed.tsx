/** What a person does in their own name. */
import type { ComponentChildren } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { type ApiError, post } from "./client.ts";
import { myName, rememberMyName } from "./me.ts";
import { Fault } from "./parts.tsx";

type SignedProps = {
  /** Where the API takes the order; the name goes with it as `by`. */
  path: string;
  body?: object;
  button: string;
  /** True: the cursor goes to the name. */
  focus?: boolean;
  /** Called when it was done, and when it was refused. */
  done: () => void;
  /** What the button brings about. */
  children: ComponentChildren;
};

/** Asks for the name and acts; where that is refused, says why. */
export function Signed({ path, body, button, focus = false, done, children }: SignedProps) {
  const input = useRef<HTMLInputElement>(null);
  useEffect(() => {
    if (focus) input.current?.focus();
  }, [focus]);
  const [name, setName] = useState(myName());
  const [error, setError] = useState<ApiError | null>(null);
  const [busy, setBusy] = useState(false);
  const submit = async (event: Event) => {
    event.preventDefault();
    setBusy(true);
    try {
      await post(path, { ...body, by: name });
      rememberMyName(name);
      setError(null);
    } catch (caught) {
      setError(caught as ApiError);
    }
    setBusy(false);
    done();
  };
  return (
    <form class="signed" onSubmit={submit}>
      <label>
        <span>Your name</span>
        <input
          ref={input}
          required
          maxLength={100}
          autocomplete="name"
          value={name}
          onInput={(event) => setName(event.currentTarget.value)}
        />
      </label>
      <button type="submit" class="primary" disabled={busy}>
        {button}
      </button>
      <p class="dim">{children}</p>
      {error && <Fault error={error} />}
    </form>
  );
}
