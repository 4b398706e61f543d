// Numbers and times as people read them.

export function duration(seconds) {
  const whole = Math.max(0, Math.floor(seconds));
  const minutes = Math.floor(whole / 60);
  const rest = String(whole % 60).padStart(2, "0");
  if (minutes < 60) return `${minutes}:${rest}`;
  return `${Math.floor(minutes / 60)}:${String(minutes % 60).padStart(2, "0")}:${rest}`;
}

export function clock(us) {
  return new Date(us / 1000).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit", second: "2-digit", hour12: false });
}

// The server writes UTC; people read their own clock.
export function localTimes(root) {
  for (const node of root.querySelectorAll("time[datetime]")) {
    const at = new Date(node.dateTime);
    const day = at.toDateString() === new Date().toDateString() ? {} : { day: "numeric", month: "short" };
    node.textContent = at.toLocaleString([], { ...day, hour: "2-digit", minute: "2-digit", hour12: false });
  }
}

export function ms(value) {
  return value === null || value === undefined ? "–" : `${Math.round(value)}`;
}

export function pace(value) {
  if (value === null || value === undefined) return "none";
  if (value <= 500) return "good";
  return value <= 1200 ? "fair" : "slow";
}

export function stepName(step) {
  return step ? step.replaceAll("_", " ") : "";
}

export function slotValue(value) {
  if (!/^\d{4}-\d{2}-\d{2}$/.test(value)) return value;
  return new Date(`${value}T12:00`).toLocaleDateString([], { weekday: "long", day: "numeric", month: "long" });
}

// What the one at the far end is called: on a call that we placed nobody has called us.
export function farEnd(direction) {
  const noun = direction === "outbound" ? "person called" : "caller";
  return { noun, name: noun[0].toUpperCase() + noun.slice(1), the: `the ${noun}`, The: `The ${noun}` };
}

const ENDS = {
  caller_hung_up: "{far} hung up", caller_left: "{far} left", agent_ended: "agent ended it",
  ended_by_supervisor: "ended by a supervisor", completed: "completed", resume_timeout: "{far} did not come back",
};

export function cause(code, far) {
  return code ? (ENDS[code] || code.replaceAll("_", " ")).replace("{far}", far.noun) : "ended";
}
