/** Every notifier there is, by the name that steps use. */
import { email } from "./email.ts";
import { webhook } from "./webhook.ts";

export const notifiers = { email, webhook };
