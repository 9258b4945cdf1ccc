/** What the calendar says of the days that a chart shows, in words. */
import type { Api } from "../console/api.ts";
import { count, none, number, wall } from "./format.ts";

type Calendar = Api["Calendar"];
type Days = NonNullable<Calendar["days"]>[number];
type Campaign = Calendar["campaigns"][number];

const dayWords: Readonly<Record<Days["type"], string>> = {
  weekend: "Weekend",
  holiday: "Holiday",
  workday: "Worked weekend",
};

/** Says what each shade and bar of the chart is; nothing where the window has none. */
export function CalendarLegend({ calendar, zone }: { calendar: Calendar; zone: string }) {
  const { days, campaigns, campaignsLeft } = calendar;
  if (days !== null && isPlain(calendar)) return null;
  const named = days?.filter(({ type }) => type !== "weekend") ?? [];
  return (
    <ul class="legend" aria-label="What the calendar says">
      {days?.some(({ type }) => type === "weekend") && <li class="key key-weekend">{dayWords.weekend}</li>}
      {named.map((day) => (
        <li key={day.from} class={`key key-${day.type}`}>
          {dayText(day)}, {spanText(day, zone)}
        </li>
      ))}
      {campaigns.map((campaign) => (
        <li key={`${campaign.from} ${campaign.title}`} class="key key-campaign">
          {campaignText(campaign)}, {spanText(campaign, zone)}
        </li>
      ))}
      {campaignsLeft > 0 && <li>{count(campaignsLeft, "more campaign")}; zoom in for all.</li>}
      {days === null && <li>Days are named in windows of up to 92 days.</li>}
    </ul>
  );
}

/** What it says of one moment; null where it has nothing to say of the whole window. */
export function momentText(calendar: Calendar, atMs: number): string | null {
  if (isPlain(calendar)) return null;
  const holds = ({ from, to }: Days | Campaign) => Date.parse(from) <= atMs && atMs < Date.parse(to);
  const day = calendar.days?.find(holds);
  const plain = calendar.days === null ? [] : ["Weekday"];
  return [...(day ? [dayText(day)] : plain), ...calendar.campaigns.filter(holds).map(campaignText)].join("; ");
}

function isPlain({ days, campaigns }: Calendar): boolean {
  return (days ?? []).length === 0 && campaigns.length === 0;
}

function dayText({ type, name }: Days): string {
  return name === null ? dayWords[type] : `${dayWords[type]}: ${name}`;
}

function campaignText({ title, uplift, like }: Campaign): string {
  return `Campaign: ${title} (expected: ${uplift === null ? likeText(like) : upliftText(uplift)})`;
}

function upliftText({ min, max }: NonNullable<Campaign["uplift"]>): string {
  return `${min === max ? "" : `${number(min)} to `}${number(max)} times the usual`;
}

function likeText(like: Campaign["like"]): string {
  if (like === null) return none;
  return `as from ${like.day} on${like.scale === 1 ? "" : `, times ${number(like.scale)}`}`;
}

/** Whole days as days, else with the times. */
function spanText({ from, to }: Days | Campaign, zone: string): string {
  const [first, last] = [wall(from, zone, "day"), wall(Date.parse(to) - 1, zone, "day")];
  const whole = [from, to].every((moment) => wall(moment, zone, "time") === "00:00");
  if (whole) return first === last ? first : `${first} to ${last}`;
  return `${wall(from, zone)} to ${wall(to, zone, first === last ? "time" : "full")}`;
}
