// Reads the points of a DICOM SR with Cornerstone's adapter, as OHIF does, and prints them as JSON: tool, label, tracking UID,
// and x, y in px of the image from its top-left corner.
//
// node read_sr.mjs REPORT.dcm IMAGE_SOP_INSTANCE_UID

import { readFileSync } from "node:fs";
import { adaptersSR } from "@cornerstonejs/adapters";
import { metaData } from "@cornerstonejs/core";
import dcmjs from "dcmjs";

const [file, image] = process.argv.slice(2);
// Pixels of 1 mm, the first one's centre at the origin: the world is the image, half a pixel off.
const plane = {
  frameOfReferenceUID: "1.2.3",
  rowCosines: [1, 0, 0],
  columnCosines: [0, 1, 0],
  imagePositionPatient: [0, 0, 0],
  rowPixelSpacing: 1,
  columnPixelSpacing: 1,
};
metaData.addProvider((kind) => (kind === "imagePlaneModule" ? plane : undefined));

const bytes = readFileSync(file);
const dicom = dcmjs.data.DicomMessage.readFile(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length));
const report = dcmjs.data.DicomMetaDictionary.naturalizeDataset(dicom.dict);
const { MeasurementReport } = adaptersSR.Cornerstone3D;
const state = MeasurementReport.generateToolState(report, { [`${image}:1`]: "film" }, metaData);

const points = Object.entries(state).flatMap(([tool, measurements]) =>
  measurements.map(({ annotation, finding, TrackingUniqueIdentifier }) => {
    const [[x, y], ...more] = annotation.data.handles.points;
    if (more.length > 0) throw new Error(`${more.length + 1} points in one measurement`);
    return { tool, label: annotation.data.label, finding: finding.CodeMeaning, uid: TrackingUniqueIdentifier, x: x + 0.5, y: y + 0.5 };
  }),
);
console.log(JSON.stringify(points));
