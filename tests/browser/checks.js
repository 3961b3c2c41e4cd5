// What a browser alone can tell of a page: each check returns the faults it finds, as texts.
(name) => {
  const all = (selector) => Array.from(document.querySelectorAll(selector));
  const shown = (element) =>
    element.getClientRects().length > 0 &&
    element.checkVisibility({ visibilityProperty: true, contentVisibilityAuto: true });
  const told = (element) => element.outerHTML.slice(0, 120);
  const textNodes = () => {
    const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    const found = [];
    while (walker.nextNode()) {
      const node = walker.currentNode;
      if (node.data.trim() && shown(node.parentElement)) found.push(node);
    }
    return found.filter((node) => !node.parentElement.closest("title, desc, script, style"));
  };

  // Colours: any CSS colour becomes red, green, blue, alpha by way of a canvas.
  const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  const known = new Map();
  const rgba = (colour) => {
    if (!known.has(colour)) {
      canvas.clearRect(0, 0, 1, 1);
      canvas.fillStyle = colour;
      canvas.fillRect(0, 0, 1, 1);
      known.set(colour, Array.from(canvas.getImageData(0, 0, 1, 1).data));
    }
    return known.get(colour);
  };
  const over = (top, bottom) => {
    const alpha = top[3] / 255;
    return [0, 1, 2].map((i) => top[i] * alpha + bottom[i] * (1 - alpha)).concat(255);
  };
  const luminance = (colour) => {
    const [r, g, b] = colour.slice(0, 3).map((value) => {
      const share = value / 255;
      return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const background = (element) => {
    const layers = [];
    for (let node = element; node; node = node.parentElement) {
      const colour = rgba(getComputedStyle(node).backgroundColor);
      layers.push(colour);
      if (colour[3] === 255) break;
    }
    return layers.reduceRight((below, layer) => over(layer, below), [255, 255, 255, 255]);
  };
  const ratio = (one, two) => {
    const [dark, light] = [luminance(one), luminance(two)].sort((a, b) => a - b);
    return (light + 0.05) / (dark + 0.05);
  };

  const nameOf = (element) => {
    const labelled = element.getAttribute("aria-labelledby");
    const by = labelled?.split(/\s+/).map((id) => document.getElementById(id)?.textContent ?? "");
    return (
      by?.join(" ") ||
      element.getAttribute("aria-label") ||
      element.getAttribute("alt") ||
      element.querySelector(":scope > title")?.textContent ||
      ""
    ).trim();
  };

  const checks = {
    contrast: () => {
      const faults = new Map();
      for (const node of textNodes()) {
        const element = node.parentElement;
        const style = getComputedStyle(element);
        const below = background(element);
        const ink = rgba(element.closest("svg") ? style.fill : style.color);
        const found = ratio(over(ink, below), below);
        if (found < 4.5) faults.set(`${element.tagName}.${element.className}`, `${found.toFixed(2)}: ${told(element)}`);
      }
      return Array.from(faults.values());
    },
    small_text: () =>
      textNodes().flatMap((node) => {
        const element = node.parentElement;
        const svg = element.closest("svg");
        const scale = svg ? svg.getScreenCTM().a : 1;
        const pixels = parseFloat(getComputedStyle(element).fontSize) * scale;
        return pixels < (svg ? 9.5 : 12) ? [`${pixels.toFixed(1)} px: ${told(element)}`] : [];
      }),
    sideways: () => {
      const wide = all("body *").filter((element) => {
        if (!shown(element) || element.closest("svg") || element.closest(".unseen, .skip")) return false;
        for (let node = element.parentElement; node !== document.body; node = node.parentElement) {
          if (getComputedStyle(node).overflowX !== "visible") return false;
        }
        return element.getBoundingClientRect().right > innerWidth + 1;
      });
      const page = document.documentElement.scrollWidth;
      return (page > innerWidth ? [`page is ${page} px wide`] : []).concat(wide.map(told));
    },
    headings: () => {
      const faults = [];
      let before = 0;
      for (const heading of all("h1, h2, h3, h4, h5, h6")) {
        const level = Number(heading.tagName[1]);
        if (level > before + 1) faults.push(`after h${before}: ${told(heading)}`);
        if (!heading.textContent.trim()) faults.push(`empty: ${told(heading)}`);
        before = level;
      }
      if (all("h1").length !== 1) faults.push(`${all("h1").length} h1`);
      return faults;
    },
    images: () =>
      all("img, svg")
        .filter((image) => !image.closest('[aria-hidden="true"]') && image.getAttribute("role") !== "presentation")
        .filter((image) => !image.parentElement.closest("svg"))
        .filter((image) => image.getAttribute("alt") !== "" && !nameOf(image))
        .map(told),
    tables: () =>
      all("table").flatMap((table) => {
        const faults = [];
        if (!table.caption?.textContent.trim()) faults.push("no caption");
        for (const head of table.querySelectorAll("th")) {
          if (!["col", "row", "colgroup", "rowgroup"].includes(head.scope)) faults.push("th without scope");
        }
        if (!table.tHead) faults.push("no thead");
        return faults.map((fault) => `${fault}: ${told(table)}`);
      }),
    names: () => {
      const controls = all("a[href], button, summary, [role=button]").filter(
        (control) => !(control.textContent.trim() || nameOf(control)),
      );
      const inputs = all("input, select, textarea").filter(
        (input) => !(input.labels?.length && input.labels[0].textContent.trim()) && !nameOf(input),
      );
      const regions = all("[role=region], [role=group], nav, fieldset").filter(
        (region) => !nameOf(region) && !region.querySelector(":scope > legend")?.textContent.trim(),
      );
      return [...controls, ...inputs, ...regions].map((element) => `no name: ${told(element)}`);
    },
    structure: () => {
      const faults = [];
      const ids = all("[id]").map((element) => element.id);
      const twice = ids.filter((id, place) => ids.indexOf(id) !== place);
      faults.push(...twice.map((id) => `id stands twice: ${id}`));
      for (const link of all('a[href^="#"]')) {
        const target = decodeURIComponent(link.getAttribute("href").slice(1));
        if (!ids.includes(target)) faults.push(`leads nowhere: ${told(link)}`);
      }
      for (const use of all("use")) {
        if (!ids.includes(use.getAttribute("href")?.slice(1))) faults.push(`uses nothing: ${told(use)}`);
      }
      for (const attribute of ["aria-labelledby", "aria-describedby", "aria-controls"]) {
        for (const element of all(`[${attribute}]`)) {
          for (const id of element.getAttribute(attribute).split(/\s+/)) {
            if (!ids.includes(id)) faults.push(`${attribute} names nothing: ${told(element)}`);
          }
        }
      }
      if (!document.documentElement.lang) faults.push("no language");
      if (!document.title.trim()) faults.push("no title");
      if (all("main").length !== 1) faults.push("not one main");
      faults.push(...all("[tabindex]").filter((e) => e.tabIndex > 0).map(told));
      faults.push(...all("ul > :not(li), ol > :not(li)").map((e) => `in a list: ${told(e)}`));
      faults.push(...all("dl > :not(dt, dd, div)").map((e) => `in a dl: ${told(e)}`));
      faults.push(...all('[aria-hidden="true"] :is(a[href], button, input)').map((e) => `hidden: ${told(e)}`));
      const hidden = all('a a, a button, button a, button button, label button').map((e) => `nested: ${told(e)}`);
      return faults.concat(hidden);
    },
    keyboard: () =>
      all("*")
        .filter((element) => shown(element) && element.scrollWidth > element.clientWidth + 1)
        .filter((element) => ["auto", "scroll"].includes(getComputedStyle(element).overflowX))
        .filter((element) => element.tabIndex < 0 && !element.querySelector("a[href], button, [tabindex='0']"))
        .map((element) => `scrolls, but not by the keyboard: ${told(element)}`),
  };
  return checks[name]();
}
