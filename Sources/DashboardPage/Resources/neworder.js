// The dialog in which a user creates an order and sees it appear in the read model.
import { Refused, createOrder, untilShown } from "./commands.js";
import { el, setText } from "./dom.js";
import { duration } from "./format.js";

/** A field with its label above it. */
function field(name, label, attributes = {}) {
  const input = el("input", { name, required: true, autocomplete: "off", ...attributes });
  return { input, node: el("label", { class: "field" }, el("span", { text: label }), input) };
}

function fields(legend, ...all) {
  return el("fieldset", { class: "fields" }, el("legend", { text: legend }), ...all.map((one) => one.node));
}

/** The products of the order, at least one. */
function linesView() {
  const list = el("div", { class: "lines" });
  const lines = new Set();
  function add() {
    const product = field("productId", "Product", { placeholder: "prod-0001", maxlength: 200 });
    const name = field("productName", "Name", { placeholder: "Kettle", maxlength: 200 });
    const quantity = field("quantity", "Quantity", { type: "number", min: 1, max: 2_147_483_647, step: 1, value: 1 });
    const price = field("unitPrice", "Unit price", {
      inputmode: "decimal", placeholder: "12.50", pattern: "[0-9]{1,13}([.][0-9]{1,4})?",
      title: "A decimal with a point, such as 12.50",
    });
    const line = { product, name, quantity, price };
    const remove = el("button", { class: "quiet-button", type: "button", text: "Remove", onclick: () => {
      if (lines.size === 1) return;
      lines.delete(line);
      line.node.remove();
      show();
    } });
    line.remove = remove;
    line.node = fields("Product", product, name, quantity, price, { node: remove });
    lines.add(line);
    list.append(line.node);
    show();
    return line;
  }
  function show() {
    for (const line of lines) line.remove.hidden = lines.size === 1;
  }
  add();
  const more = el("button", {
    class: "quiet-button", type: "button", text: "Add a product", onclick: () => add().product.input.focus(),
  });
  return {
    node: el("div", {}, list, more),
    read: () => [...lines].map(({ product, name, quantity, price }) => ({
      productId: product.input.value.trim(), name: name.input.value.trim(), quantity: Number(quantity.input.value),
      unitPrice: price.input.value.trim(),
    })),
  };
}

/**
 * @param {HTMLDialogElement} dialog
 * @param {{url: URL, token: () => string | null}} options the address for commands, and the token
 */
export function newOrderView(dialog, { url, token }) {
  const customer = field("customerId", "Customer", { placeholder: "cust-000001", maxlength: 200 });
  const currency = field("currency", "Currency", { value: "EUR", pattern: "[A-Z]{3}", title: "Three capital letters" });
  const lines = linesView();
  const address = {
    name: field("name", "Name", { autocomplete: "shipping name" }),
    street: field("street", "Street", { autocomplete: "shipping street-address" }),
    postalCode: field("postalCode", "Postal code", { autocomplete: "shipping postal-code" }),
    city: field("city", "City", { autocomplete: "shipping address-level2" }),
    country: field("country", "Country", {
      autocomplete: "shipping country", pattern: "[A-Z]{2}", title: "Two capital letters, such as DE",
    }),
  };
  const status = el("p", { class: "order-status", role: "status" });
  const trouble = el("p", { class: "order-trouble", role: "alert" });
  const submit = el("button", { class: "button primary", text: "Create order" });
  const close = el("button", { class: "button", type: "button", text: "Close", onclick: () => dialog.close() });
  const form = el("form", { onsubmit: send }, fields("Order", customer, currency), lines.node,
    fields("Ship to", ...Object.values(address)), status, trouble,
    el("div", { class: "dialog-actions" }, close, submit));
  dialog.replaceChildren(el("h2", { id: "new-order-title", text: "New order" }), form);

  async function send(event) {
    event.preventDefault();
    const order = {
      customerId: customer.input.value.trim(), currency: currency.input.value.trim(), items: lines.read(),
      shippingAddress: Object.fromEntries(Object.entries(address).map(([name, { input }]) => [name, input.value.trim()])),
    };
    submit.disabled = true;
    dialog.dataset.order = "";
    setText(trouble, "");
    const start = Date.now();
    try {
      setText(status, "Sending …");
      const created = await createOrder(order, { url, key: crypto.randomUUID(), token: token() });
      setText(status, `Processing … Order ${created.orderId} is accepted; the read model does not show it yet.`);
      await untilShown(created, { base: document.baseURI, token: token() });
      dialog.dataset.order = created.orderId;
      setText(status, `Order ${created.orderId} is shown, ${duration(Date.now() - start)} after you sent it.`);
    } catch (error) {
      setText(status, "");
      setText(trouble, error instanceof Refused ? error.message
        : "The service for commands cannot be reached. The order may have been created.");
    } finally {
      submit.disabled = false;
    }
  }

  return () => {
    setText(status, "");
    setText(trouble, "");
    dialog.showModal();
    customer.input.focus();
  };
}
