"""Finds the landmarks of a whole archive: reads every film under a folder, on all of Ray's processors, into one Parquet table.

    pip install 'onemark[archive]'
    python -m onemark.archive FOLDER --bundle head19.onemark --out landmarks.parquet

The table has one row per film and landmark, sorted by file and number. A file that is not a film, or can't be read, has one row
with an `error` and no landmark; then the exit code is 1. Films are processed in groups, each with a file of its own in
`landmarks.parquet.parts`. If the command is interrupted, start it again with the same arguments: it continues after the last
complete group. On a cluster (RAY_ADDRESS), the folder, the bundle and the table must have the same paths on all machines.
"""

import argparse
import json
import logging
import os
import shutil
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from . import Detector, OnemarkError

SCHEMA = pa.schema(
    [
        ("file", pa.string()),  # below the folder
        ("number", pa.int32()),  # of the landmark, from 1
        ("name", pa.string()),
        ("status", pa.string()),  # found, not-found
        ("x_px", pa.float64()),  # from the film's top-left corner; null where the landmark was not found
        ("y_px", pa.float64()),
        ("x_mm", pa.float64()),  # null also where no spacing is stated
        ("y_mm", pa.float64()),
        ("score", pa.float32()),
        ("confidence", pa.float64()),  # null where the bundle is not calibrated
        ("radius_mm", pa.float64()),
        ("spacing_source", pa.string()),
        ("backend", pa.string()),
        ("bundle_sha256", pa.string()),
        ("error", pa.string()),
        ("warnings", pa.string()),  # about how the film was read, joined by "; "; null where there are none
        ("refusal", pa.string()),  # why no landmark of the film counts as found; null for other films
    ]
)


def rows(file, report):
    """The table's rows of one film, from the result of `Detections.to_dict`."""
    for landmark in report["landmarks"]:
        # The position of a landmark that was not found is a guess.
        none = {"x": None, "y": None}
        px, mm = (none, none) if landmark["status"] == "not-found" else (landmark["position"], landmark["mm"] or none)
        yield {
            "file": file,
            **{key: landmark[key] for key in ["number", "name", "status", "score", "confidence", "radius_mm"]},
            "x_px": px["x"],
            "y_px": px["y"],
            "x_mm": mm["x"],
            "y_mm": mm["y"],
            "spacing_source": (report["spacing"] or {}).get("source"),
            "backend": report["backend"],
            "bundle_sha256": report["bundle"]["sha256"],
            "warnings": "; ".join(report["warnings"]) or None,
            "refusal": report.get("refusal"),
        }


def write_whole(table, path):
    """Writes a table under another name first, so that `path` never holds an incomplete one."""
    unfinished = path.with_name(f".{path.name}.{os.getpid()}")
    pq.write_table(table, unfinished)
    os.replace(unfinished, path)


class Finder:
    """Runs in a process of Ray's, with the bundle open."""

    def __init__(self, folder, parts, bundle, options, spacing):
        self.folder, self.parts, self.spacing = folder, parts, spacing
        self.detector = Detector(bundle, **options)

    def __call__(self, group):
        found = []
        for file in group["files"]:
            try:
                report = self.detector.detect_file(self.folder / file, spacing=self.spacing).to_dict()
                found.extend(rows(file, report))
            except (OnemarkError, ValueError) as error:
                found.append({"file": file, "error": str(error)})
        write_whole(pa.Table.from_pylist(found, SCHEMA), self.parts / group["part"])
        return {"films": len(group["files"])}


def begin(parts, plan):
    """Writes the plan, or returns the plan of an interrupted run. That plan has its own list of files, so that groups are the same
    as before."""
    file = parts / "plan.json"
    if file.exists():
        begun = json.loads(file.read_text())
        differs = [key for key in plan if key != "files" and begun[key] != plan[key]]
        if differs:
            raise SystemExit(f"error: {parts} was begun with another {' and '.join(differs)}: remove it, or give the same arguments")
        return begun
    parts.mkdir(exist_ok=True)
    unfinished = parts / ".plan.json"
    unfinished.write_text(json.dumps(plan))
    os.replace(unfinished, file)
    return plan


def films(folder):
    """All files under a folder except hidden ones and DICOMDIRs."""
    all_files = (path.relative_to(folder) for path in folder.rglob("*") if path.is_file())
    return sorted(
        str(path)
        for path in all_files
        if path.name != "DICOMDIR" and not any(name.startswith(".") for name in path.parts)
    )


def spacing(text):
    """Reads `MM` or `X,Y`, as `onemark detect --spacing` does."""
    parts = text.split(",")
    if len(parts) == 2 and all(part.isascii() and part.isdigit() for part in parts):
        whole, decimals = parts
        raise argparse.ArgumentTypeError(
            f'"{text}" has two meanings; write {whole}.{decimals} for pixels of that many mm, '
            f"or {whole}.0,{decimals}.0 for pixels of {whole} x {decimals} mm"
        )
    numbers = [float(number) for number in parts]
    if len(numbers) > 2 or not all(0 < number < float("inf") for number in numbers):
        raise ValueError(text)
    return numbers[0], numbers[-1]


def arguments():
    parser = argparse.ArgumentParser(prog="python -m onemark.archive", description=__doc__.split("\n")[0])
    parser.add_argument("folder", type=Path, help="the folder of the films; its subfolders are searched too")
    parser.add_argument("--bundle", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True, help="the table, a .parquet file")
    parser.add_argument("--spacing", type=spacing, help="mm per px, or x,y; replaces what films state")
    parser.add_argument("--backend", default="auto")
    parser.add_argument("--threads", type=int, default=1, help="processors per process [default: %(default)s]")
    parser.add_argument("--group", type=int, default=32, help="films per group [default: %(default)s]")
    return parser.parse_args()


def main():
    asked = arguments()
    folder, out = asked.folder.resolve(), asked.out.resolve()
    if out.exists():
        raise SystemExit(f"error: {out} already exists: remove it, or choose another name")
    if not out.parent.is_dir():
        raise SystemExit(f"error: there is no folder {out.parent} for the table")
    wanted = films(folder)
    if not wanted:
        raise SystemExit(f"error: there are no files under {folder}")
    if asked.threads < 1 or asked.group < 1:
        raise SystemExit("error: --threads and --group must be at least 1")
    options = {"backend": asked.backend, "threads": asked.threads}
    try:
        _, sha256 = Detector(asked.bundle, **options).bundle
    except (OnemarkError, ValueError) as error:
        raise SystemExit(f"error: {error}") from None

    parts = out.with_name(out.name + ".parts")
    plan = {
        "folder": str(folder),
        "bundle": sha256,
        "backend": asked.backend,
        "spacing": asked.spacing and list(asked.spacing),
        "group": asked.group,
        "files": wanted,
    }
    wanted = begin(parts, plan)["files"]
    starts = range(0, len(wanted), asked.group)
    groups = [{"part": f"{start:09}.parquet", "files": wanted[start : start + asked.group]} for start in starts]
    todo = [group for group in groups if not (parts / group["part"]).exists()]
    done = len(wanted) - sum(len(group["files"]) for group in todo)
    print(f"{len(wanted)} files, {done} of them done before", flush=True)
    if todo:
        find(todo, asked.threads, (folder, parts, asked.bundle.resolve(), options, asked.spacing))

    table = pa.concat_tables(pq.read_table(parts / group["part"], schema=SCHEMA) for group in groups)
    write_whole(table, out)
    shutil.rmtree(parts)
    failed = len(table) - table["error"].null_count
    print(f"{out}: {len(wanted)} files, {failed} failed")
    return 1 if failed else 0


def find(groups, threads, finder):
    """Processes all groups with Ray, as many at a time as there are processors."""
    # Patient data: send no usage reports.
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    # Imported here because it takes seconds: errors in the arguments are reported before.
    import ray

    ray.init(include_dashboard=False, log_to_driver=False, logging_level="error")
    logging.getLogger("ray.data").setLevel(logging.ERROR)
    ray.data.DataContext.get_current().enable_progress_bars = False
    processes = max(1, int(ray.cluster_resources()["CPU"]) // threads)
    finished = ray.data.from_items(groups, override_num_blocks=min(len(groups), 1000)).map(
        Finder,
        fn_constructor_args=finder,
        num_cpus=threads,
        compute=ray.data.ActorPoolStrategy(min_size=1, max_size=processes),
    )
    films = 0
    for group in finished.iter_rows():
        films += group["films"]
        print(f"{films} of {sum(len(group['files']) for group in groups)}", flush=True)
    ray.shutdown()


if __name__ == "__main__":
    sys.exit(main())
