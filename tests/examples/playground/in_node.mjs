// Runs pytest under Pyodide in Node.
// node in_node.mjs RUNTIME PACKAGES PROJECT ARGUMENTS...: folders with Pyodide's npm package and
// NumPy's wheel, with pytest and what it needs, and with the tests; then what pytest takes.
import { createRequire } from "node:module";
import { join } from "node:path";

const [runtime, packages, project, ...args] = process.argv.slice(2);
const { loadPyodide } = createRequire(import.meta.url)(join(runtime, "pyodide.js"));
const pyodide = await loadPyodide({ packageCacheDir: runtime, env: { HOME: "/home/pyodide", PYTHONDONTWRITEBYTECODE: "1", HYPOTHESIS_PROFILE: process.env.HYPOTHESIS_PROFILE ?? "dev" } });
await pyodide.loadPackage("numpy", { messageCallback() {} });
for (const [name, root] of [["packages", packages], ["project", project]]) {
  pyodide.FS.mkdir(`/${name}`);
  pyodide.FS.mount(pyodide.FS.filesystems.NODEFS, { root }, `/${name}`);
}
pyodide.globals.set("args", pyodide.toPy(args));
process.exitCode = await pyodide.runPythonAsync(`
import os, sys
sys.path[:0] = ["/project/src", "/packages"]
os.chdir("/project")
import numpy, pytest
print("Python", sys.version.split()[0], "on", sys.platform, "NumPy", numpy.__version__, flush=True)
int(pytest.main(list(args)))
`);
