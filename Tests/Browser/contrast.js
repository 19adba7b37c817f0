// For execute_script: returns the texts on the page with a contrast to their background below 4.5:1 (WCAG 2.2, 1.4.3).
const pixel = Object.assign(document.createElement("canvas"), { width: 1, height: 1 });
const canvas = pixel.getContext("2d", { willReadFrequently: true });
function rgba(colour) {
  canvas.clearRect(0, 0, 1, 1);
  canvas.fillStyle = colour;
  canvas.fillRect(0, 0, 1, 1);
  const [r, g, b, a] = canvas.getImageData(0, 0, 1, 1).data;
  return [r, g, b, a / 255];
}
function ground(element) {
  for (let node = element; node !== null; node = node.parentElement) {
    const colour = rgba(getComputedStyle(node).backgroundColor);
    if (colour[3] === 1) return colour;
  }
  return [255, 255, 255, 1];
}
function luminance(colour) {
  const [x, y, z] = colour.slice(0, 3).map((value) => value / 255)
    .map((value) => (value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4));
  return 0.2126 * x + 0.7152 * y + 0.0722 * z;
}
const found = [];
const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
let texts = 0;
while (walker.nextNode()) {
  const element = walker.currentNode.parentElement;
  if (walker.currentNode.textContent.trim() === "" || !element.checkVisibility()) continue;
  texts += 1;
  const [text, below] = [rgba(getComputedStyle(element).color), ground(element)].map(luminance);
  const ratio = (Math.max(text, below) + 0.05) / (Math.min(text, below) + 0.05);
  const words = walker.currentNode.textContent.trim().slice(0, 40);
  if (ratio < 4.5) found.push(`${ratio.toFixed(2)} "${words}" .${element.className}`);
}
return { texts, found };
