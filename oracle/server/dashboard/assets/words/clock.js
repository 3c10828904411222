// The service's time. What is told of a run is told by its clock, and the browser's may be a day off.

let ahead = 0; // ms

export const now = () => Date.now() + ahead;

// Learn of an answer what its service's clock says: `Date` counts whole seconds, and the answer was on
// its way from `asked`, ms of the browser's clock. What agrees with this changes nothing.
export function heard(response, asked) {
  const told = Date.parse(response.headers.get("Date"));
  if (!Number.isFinite(told)) return;
  const least = told - Date.now(), most = told + 1_000 - asked;
  if (ahead < least || ahead > most) ahead = (least + most) / 2;
}
