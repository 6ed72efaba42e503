// Run notebooks in Pyodide itself, under Node.js, and say where they show something else than what
// is stored in them. The distribution has to have matplotlib, and PyTorch has no build for it:
//
//     python docs/lite.py /folder/of/a/distribution build/alone --alone
//     node tests/browser/notebooks.mjs build/alone docs/notebooks/1_one_neuron.ipynb

import { spawnSync } from "node:child_process";
import path from "node:path";
import { fileURLToPath } from "node:url";

const here = fileURLToPath(import.meta.url);
const root = path.resolve(here, "../../..");
const [folder, ...rest] = process.argv.slice(2);
const site = path.resolve(folder, "static/pyodide") + "/";
// Cells of one name after another, as Jupyter would run them, and what differs.
const CODE = `
import logging, os, pathlib, sys
os.environ["MPLBACKEND"] = "module://matplotlib_inline.backend_inline"
# A first import says that it builds a cache of fonts.
logging.disable()
import matplotlib.pyplot
logging.disable(logging.NOTSET)
sys.path.insert(0, "/project/tests")
from notebooks import code_cells, read, run, same, source, text_of
path, made = pathlib.Path("/project", name), pathlib.Path("/run.ipynb")
try:
    run(path, made)
except SystemExit as error:
    raise RuntimeError(error.code) from None
for number, (old, new) in enumerate(zip(*map(code_cells, map(read, (path, made)))), 1):
    if not same(text_of(new), text_of(old)):
        print(f"cell {number} of {name} shows\\n{text_of(new)}\\nand stored is\\n{text_of(old)}")
`;

async function runOne(name) {
  const { loadPyodide } = await import(path.join(site, "pyodide.mjs"));
  const packages = ["nnscratch", "matplotlib", "matplotlib-inline", "ipython"];
  const quiet = { messageCallback: () => {} };
  const python = await loadPyodide({ indexURL: site, packages, ...quiet });
  python.mountNodeFS("/project", root);
  python.globals.set("name", name);
  await python.runPythonAsync(CODE);
}

// Each notebook has a process of its own, as it has a kernel of its own in Jupyter.
if (rest[0] === "--one") {
  try {
    await runOne(rest[1]);
  } catch (error) {
    console.log(error.message);
    process.exitCode = 1;
  }
} else {
  for (const name of rest) {
    const from = performance.now();
    const one = [here, folder, "--one", name];
    const { stdout, status } = spawnSync(process.execPath, one, { encoding: "utf-8" });
    const right = status === 0 && !stdout;
    const seconds = Math.round((performance.now() - from) / 1000);
    console.log(`${name}: ${right ? "as stored" : "differs"}, ${seconds} s\n${stdout}`);
    process.exitCode ||= right ? 0 : 1;
  }
}
