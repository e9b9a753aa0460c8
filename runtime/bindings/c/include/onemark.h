// Onemark: finds anatomical landmarks on films, by a bundle.
//
// Made from runtime/bindings/c/src by cbindgen: change that. How to use it: docs/EMBEDDING.md and examples/detect.c.
// Texts are UTF-8. Every function may be called from any thread at any time, but for the two that give something back.

#ifndef ONEMARK_H
#define ONEMARK_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

// What onemark_abi_version gave when this header was made. A program and a library of different ones don't fit.
#define ONEMARK_ABI_VERSION 1

// What came of a call. Where it is not ONEMARK_STATUS_OK, onemark_last_error says what, where, and what to do.
typedef enum OnemarkStatus {
  // It is done.
  ONEMARK_STATUS_OK = 0,
  // A pointer is NULL, a text is not UTF-8, a size or a name is wrong.
  ONEMARK_STATUS_ARGUMENT = 1,
  // The bundle is refused.
  ONEMARK_STATUS_BUNDLE = 2,
  // The backend asked for can't be used here.
  ONEMARK_STATUS_BACKEND = 3,
  // The film can't be read.
  ONEMARK_STATUS_FILM = 4,
  // The network could not be run, or gave no numbers.
  ONEMARK_STATUS_RUN = 5,
  // A defect of Onemark.
  ONEMARK_STATUS_INTERNAL = 6,
} OnemarkStatus;

// How much a landmark's position is worth.
typedef enum OnemarkFound {
  // Found by the network.
  ONEMARK_FOUND_FOUND = 0,
  // The evidence is too weak: the position is a guess that nothing may be built on.
  ONEMARK_FOUND_NOT_FOUND = 1,
  // Put there by a person.
  ONEMARK_FOUND_EDITED_BY_HAND = 2,
} OnemarkFound;

// The landmarks of one film. Never changes; any number of threads may read it.
typedef struct OnemarkDetections OnemarkDetections;

// An opened bundle. Any number of threads may use one at the same time, and all get the answers that one alone gets.
typedef struct OnemarkDetector OnemarkDetector;

// How a bundle is to be run. All zero but for `size` is a good choice.
typedef struct OnemarkOptions {
  // sizeof(OnemarkOptions).
  size_t size;
  // "onnxruntime", "onnxruntime-cuda" or "tract"; NULL or "auto" takes ONNX Runtime where its library is found.
  const char *backend;
  // "shape-prior", "subpixel" or "argmax"; NULL takes the first.
  const char *decoding;
  // How many threads to use; 0 means one per core.
  uint32_t threads;
} OnemarkOptions;

// A film: grey pixels in memory, row after row from the top, each from left to right. They are not kept.
typedef struct OnemarkFilm {
  // sizeof(OnemarkFilm).
  size_t size;
  // The first row: uint8_t where `bits` is 8, else uint16_t in the machine's byte order.
  const void *pixels;
  // How many bytes there are to read at `pixels`.
  size_t bytes;
  // Bytes from the start of one row to that of the next.
  size_t stride;
  // Pixels in a row.
  uint32_t width;
  // Rows.
  uint32_t height;
  // How many bits of a pixel are used, 8 to 16: the largest value is 2^bits - 1.
  uint32_t bits;
  // Not 0 where small values are bright (DICOM's MONOCHROME1).
  uint32_t inverted;
  // mm per px to the right; 0 where it is not known: then there are no mm.
  double spacing_x;
  // mm per px down; 0 where it is not known.
  double spacing_y;
  // The value that becomes the middle grey, where `window_width` is not 0.
  double window_centre;
  // How many values there are from black to white (DICOM's LINEAR function); 0 shows all that `bits` can hold.
  double window_width;
} OnemarkFilm;

// One landmark on one film.
typedef struct OnemarkLandmark {
  // sizeof(OnemarkLandmark), set by the caller.
  size_t size;
  // Position in the landmark set, from 1.
  uint32_t number;
  // Whether it was found at all.
  enum OnemarkFound found;
  // Short name, "posterior-nasal-spine". Lives as long as the detections.
  const char *name;
  // Name for people, "Posterior nasal spine". Lives as long as the detections.
  const char *title;
  // px to the right of the film's left edge; the centre of the first pixel is at 0.5.
  double x_px;
  // px down from the film's upper edge.
  double y_px;
  // The same in mm; NaN where the spacing is not known.
  double x_mm;
  // The same in mm; NaN where the spacing is not known.
  double y_mm;
  // The score there, in [0, 1]. It ranks films; it is no probability.
  double score;
  // How probable it is that the landmark is less than 4 mm away, in [0, 1]; NaN where the bundle is not calibrated.
  double confidence;
  // On 90 % of films the landmark is at most so far away, in mm; NaN where that is not known.
  double radius_mm;
} OnemarkLandmark;

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

// The library's ABI version, to be compared with ONEMARK_ABI_VERSION.
uint32_t onemark_abi_version(void);

// The library's version, for people: "0.1.0".
const char *onemark_version(void);

// What went wrong in this thread's last call that failed, UTF-8; empty where none has. Valid until the thread's next call.
const char *onemark_last_error(void);

// Opens a bundle: all its files are verified before a graph is parsed. `options` may be NULL. `detector` gets what
// onemark_close takes, or NULL where the call fails.
//
// # Safety
// Each pointer is NULL or points to what its type says; texts end with a zero.
enum OnemarkStatus onemark_open(const char *bundle,
                                const struct OnemarkOptions *options,
                                struct OnemarkDetector **detector);

// Gives back a detector, once, when no thread uses it any more. NULL is allowed.
//
// # Safety
// `detector` is NULL or came from onemark_open.
void onemark_close(struct OnemarkDetector *detector);

// Finds the landmarks on a film in memory. `detections` gets what onemark_detections_free takes, or NULL where the call
// fails.
//
// # Safety
// Each pointer is NULL or points to what its type says; the film's pixels are `bytes` long, and nobody changes them
// before the call returns.
enum OnemarkStatus onemark_detect(const struct OnemarkDetector *detector,
                                  const struct OnemarkFilm *film,
                                  struct OnemarkDetections **detections);

// The same for a file, of any kind that Onemark reads. The spacing, in mm per px to the right and down, goes before what
// the file states; 0 and 0 leave it to the file.
//
// # Safety
// Each pointer is NULL or points to what its type says; `path` ends with a zero.
enum OnemarkStatus onemark_detect_file(const struct OnemarkDetector *detector,
                                       const char *path,
                                       double spacing_x,
                                       double spacing_y,
                                       struct OnemarkDetections **detections);

// How many landmarks there are; 0 for NULL.
//
// # Safety
// `detections` is NULL or came from onemark_detect or onemark_detect_file.
size_t onemark_landmark_count(const struct OnemarkDetections *detections);

// Writes the landmark at an index, from 0, to `landmark`, whose `size` is set.
//
// # Safety
// `detections` is NULL or came from onemark_detect or onemark_detect_file; `landmark` is NULL or as large as its `size`.
enum OnemarkStatus onemark_landmark(const struct OnemarkDetections *detections,
                                    size_t index,
                                    struct OnemarkLandmark *landmark);

// All that is known about the film as JSON, as `onemark detect --json` has it. Lives as long as the detections; NULL for NULL.
//
// # Safety
// `detections` is NULL or came from onemark_detect or onemark_detect_file.
const char *onemark_json(const struct OnemarkDetections *detections);

// Gives back detections, once. NULL is allowed.
//
// # Safety
// `detections` is NULL or came from onemark_detect or onemark_detect_file.
void onemark_detections_free(struct OnemarkDetections *detections);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* ONEMARK_H */
