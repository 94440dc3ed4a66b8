// What is wrong with the layout of a display, as sentences.
const wrong = [];
const [width, height] = [innerWidth, innerHeight];
const main = document.querySelector("main");
const page = document.documentElement;
if (page.scrollWidth > width || page.scrollHeight > height) {
  wrong.push(`the page is ${page.scrollWidth}x${page.scrollHeight} on a screen of ${width}x${height}`);
}

function luminance(colour) {
  const parts = colour.match(/[\d.]+/g).slice(0, 3).map((part) => {
    const c = Number(part) / 255;
    return c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2];
}

function contrast(a, b) {
  const [dark, light] = [luminance(a), luminance(b)].sort((x, y) => x - y);
  return (light + 0.05) / (dark + 0.05);
}

const ground = getComputedStyle(main).backgroundColor;
const lines = [...main.querySelectorAll("h1, p")].filter((line) => line.textContent);
if (lines.length < 4) wrong.push("there are fewer than two sentences in two languages");
const boxes = [];
for (const line of lines) {
  const name = `${line.className} "${line.textContent}"`;
  const style = getComputedStyle(line);
  const box = line.getBoundingClientRect();
  if (box.left < 0 || box.top < 0 || box.right > width || box.bottom > height) {
    wrong.push(`${name} is clipped: ${Math.round(box.left)},${Math.round(box.top)} to ${Math.round(box.right)},${Math.round(box.bottom)}`);
  }
  if (line.scrollWidth > line.clientWidth + 1) wrong.push(`${name} is wider than its place`);
  const ratio = contrast(style.color, ground);
  if (ratio < 4.5) wrong.push(`${name} has a contrast of ${ratio.toFixed(1)}`);
  const size = parseFloat(style.fontSize);
  const least = line.className === "first says" ? 0.065 : 0.035;
  if (size < least * Math.min(width, height)) wrong.push(`${name} is only ${size} px high`);
  for (const [other, otherName] of boxes) {
    if (box.top < other.bottom - 1 && other.top < box.bottom - 1 && box.left < other.right && other.left < box.right) {
      wrong.push(`${name} lies over ${otherName}`);
    }
  }
  boxes.push([box, name]);
}
const shape = main.querySelector(".shape");
const box = shape.getBoundingClientRect();
// Motion takes it a little aside; half of it would be too much.
if (box.width < 0.2 * Math.min(width, height) || box.top < -0.05 * height || box.bottom > 1.05 * height) {
  wrong.push(`the shape is at ${Math.round(box.top)} to ${Math.round(box.bottom)}, ${Math.round(box.width)} wide`);
}
if (contrast(getComputedStyle(shape).color, ground) < 4.5) wrong.push("the shape can hardly be seen");
for (const [line, name] of boxes) {
  const apart = innerWidth > innerHeight ? line.left >= box.left + box.width * 0.9 : line.top >= box.top + box.height * 0.85;
  if (!apart) wrong.push(`${name} lies over the shape`);
}
return wrong;
