// Onemark: finds anatomical landmarks in radiographs.
//
// cbindgen generates this file from runtime/bindings/c/src; edit that. Usage: docs/EMBEDDING.md and examples/detect.c.
// Strings are UTF-8. Any thread may call any function at any time, except onemark_close and onemark_detections_free.

#ifndef ONEMARK_H
#define ONEMARK_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

// The ABI version of this header. It must equal the result of onemark_abi_version, else program and library don't fit.
#define ONEMARK_ABI_VERSION 1

// The result of a call. If it is not ONEMARK_STATUS_OK, onemark_last_error says what, where, and what to do.
typedef enum OnemarkStatus {
  // The call succeeded.
  ONEMARK_STATUS_OK = 0,
  // A pointer is NULL, a string is not UTF-8, or a size or a name is wrong.
  ONEMARK_STATUS_ARGUMENT = 1,
  // The bundle is refused.
  ONEMARK_STATUS_BUNDLE = 2,
  // The requested backend can't be used here.
  ONEMARK_STATUS_BACKEND = 3,
  // The film can't be read.
  ONEMARK_STATUS_FILM = 4,
  // The network could not be run, or its result is NaN.
  ONEMARK_STATUS_RUN = 5,
  // A defect of Onemark.
  ONEMARK_STATUS_INTERNAL = 6,
} OnemarkStatus;

// Whether and how a landmark was found.
typedef enum OnemarkFound {
  // Found by the network.
  ONEMARK_FOUND_FOUND = 0,
  // The evidence is too weak: the position is a guess and must not be used.
  ONEMARK_FOUND_NOT_FOUND = 1,
  // Placed by a person.
  ONEMARK_FOUND_EDITED_BY_HAND = 2,
} OnemarkFound;

// The landmarks of one film. It never changes, and any number of threads may read it.
typedef struct OnemarkDetections OnemarkDetections;

// An opened bundle. Any number of threads may use it at the same time; the results are the same as with one thread.
typedef struct OnemarkDetector OnemarkDetector;

// How to run a bundle. Zero in all fields except `size` is a good choice.
typedef struct OnemarkOptions {
  // sizeof(OnemarkOptions).
  size_t size;
  // "onnxruntime", "onnxruntime-cuda" or "tract"; NULL or "auto" chooses ONNX Runtime if its library is found, else tract.
  const char *backend;
  // "shape-prior", "subpixel" or "argmax"; NULL means "shape-prior".
  const char *decoding;
  // Number of threads; 0 means one per core.
  uint32_t threads;
} OnemarkOptions;

// A film: grey pixels in memory, row after row from the top, each from left to right. The library does not keep them.
typedef struct OnemarkFilm {
  // sizeof(OnemarkFilm).
  size_t size;
  // The first row: uint8_t if `bits` is 8, else uint16_t in the machine's byte order.
  const void *pixels;
  // Number of bytes that may be read at `pixels`.
  size_t bytes;
  // Bytes from the start of one row to that of the next.
  size_t stride;
  // Pixels per row.
  uint32_t width;
  // Number of rows.
  uint32_t height;
  // Number of bits used per pixel, 8 to 16: the largest value is 2^bits - 1.
  uint32_t bits;
  // Not 0 if small values are bright (DICOM's MONOCHROME1).
  uint32_t inverted;
  // mm per px to the right; 0 if unknown, then the results have no mm. onemark_warning tells of a spacing that can't be right.
  double spacing_x;
  // mm per px down; 0 if unknown.
  double spacing_y;
  // The value that becomes middle grey, if `window_width` is not 0.
  double window_centre;
  // Number of values from black to white (DICOM's LINEAR function); 0 for the full range of `bits`.
  double window_width;
} OnemarkFilm;

// One landmark on one film.
typedef struct OnemarkLandmark {
  // sizeof(OnemarkLandmark), set by the caller.
  size_t size;
  // Number in the landmark set, from 1.
  uint32_t number;
  // Whether and how it was found.
  enum OnemarkFound found;
  // Short name, "posterior-nasal-spine". Valid as long as the detections.
  const char *name;
  // Name for people, "Posterior nasal spine". Valid as long as the detections.
  const char *title;
  // x in px from the film's left edge; the centre of the first pixel is at 0.5.
  double x_px;
  // y in px from the film's upper edge.
  double y_px;
  // x in mm; NaN if the spacing is unknown.
  double x_mm;
  // y in mm; NaN if the spacing is unknown.
  double y_mm;
  // The score there, in [0, 1]. It ranks films; it is not a probability.
  double score;
  // Probability that the landmark is less than 4 mm away, in [0, 1]; NaN if the bundle is not calibrated.
  double confidence;
  // Radius in mm within which the landmark lies on 90 % of films; NaN if unknown.
  double radius_mm;
} OnemarkLandmark;

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

// Returns the library's ABI version, to compare with ONEMARK_ABI_VERSION.
uint32_t onemark_abi_version(void);

// Returns the library's version for people: "0.1.0".
const char *onemark_version(void);

// Returns the message of this thread's last call that failed; empty if none has failed. Valid until the thread's next call.
const char *onemark_last_error(void);

// Opens a bundle: all its files are verified before a graph is parsed. `options` may be NULL. `detector` receives the
// detector, which onemark_close frees, or NULL if the call fails.
//
// # Safety
// Each pointer is NULL or points to a value of its type; strings end with a zero.
enum OnemarkStatus onemark_open(const char *bundle,
                                const struct OnemarkOptions *options,
                                struct OnemarkDetector **detector);

// Frees a detector. Call it once, when no thread uses the detector any more. NULL is allowed.
//
// # Safety
// `detector` is NULL or came from onemark_open.
void onemark_close(struct OnemarkDetector *detector);

// Finds the landmarks on a film in memory. `detections` receives the result, which onemark_detections_free frees, or NULL if
// the call fails.
//
// # Safety
// Each pointer is NULL or points to a value of its type; the film's pixels are `bytes` long and do not change before the
// call returns.
enum OnemarkStatus onemark_detect(const struct OnemarkDetector *detector,
                                  const struct OnemarkFilm *film,
                                  struct OnemarkDetections **detections);

// Finds the landmarks on a film in a file of any format that Onemark reads. `spacing_x` and `spacing_y` (mm per
// px) replace the spacing that the file states; 0 and 0 keep it.
//
// # Safety
// Each pointer is NULL or points to a value of its type; `path` ends with a zero.
enum OnemarkStatus onemark_detect_file(const struct OnemarkDetector *detector,
                                       const char *path,
                                       double spacing_x,
                                       double spacing_y,
                                       struct OnemarkDetections **detections);

// Returns the number of landmarks; 0 for NULL.
//
// # Safety
// `detections` is NULL or came from onemark_detect or onemark_detect_file.
size_t onemark_landmark_count(const struct OnemarkDetections *detections);

// Writes the landmark at an index (from 0) to `landmark`, whose `size` the caller has set.
//
// # Safety
// `detections` is NULL or came from onemark_detect or onemark_detect_file; `landmark` is NULL or as large as its `size`.
enum OnemarkStatus onemark_landmark(const struct OnemarkDetections *detections,
                                    size_t index,
                                    struct OnemarkLandmark *landmark);

// Returns the number of warnings about how the film was read, above all about its spacing; 0 for NULL. Show them to
// whoever relies on the positions.
//
// # Safety
// `detections` is NULL or came from onemark_detect or onemark_detect_file.
size_t onemark_warning_count(const struct OnemarkDetections *detections);

// Returns the warning at an index, from 0: a sentence for people. Valid as long as the detections; NULL if there is none.
//
// # Safety
// `detections` is NULL or came from onemark_detect or onemark_detect_file.
const char *onemark_warning(const struct OnemarkDetections *detections,
                            size_t index);

// Returns why no landmark counts as found, if the film as a whole is refused: a sentence for people. Valid as long as the detections;
// NULL for other films, and for NULL.
//
// # Safety
// `detections` is NULL or came from onemark_detect or onemark_detect_file.
const char *onemark_refusal(const struct OnemarkDetections *detections);

// Returns all results of the film as JSON, as in `onemark detect --json`. Valid as long as the detections; NULL for NULL.
//
// # Safety
// `detections` is NULL or came from onemark_detect or onemark_detect_file.
const char *onemark_json(const struct OnemarkDetections *detections);

// Frees detections. Call it once. NULL is allowed.
//
// # Safety
// `detections` is NULL or came from onemark_detect or onemark_detect_file.
void onemark_detections_free(struct OnemarkDetections *detections);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* ONEMARK_H */
