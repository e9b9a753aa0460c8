/* Finds the landmarks of a film in memory, as a viewer does. docs/EMBEDDING.md says how to compile it.
 *
 * usage: detect BUNDLE BACKEND FILM WIDTH HEIGHT BITS
 *
 * FILM is a file of pixels only, row after row, one byte each, or two if BITS is more than 8. */

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "onemark.h"

static void check(OnemarkStatus status) {
    if (status != ONEMARK_STATUS_OK) {
        fprintf(stderr, "error %d: %s\n", (int)status, onemark_last_error());
        exit(EXIT_FAILURE);
    }
}

/* Reads a whole file; its length goes to `bytes`. */
static void *read_file(const char *path, size_t *bytes) {
    FILE *file = fopen(path, "rb");
    if (file == NULL || fseek(file, 0, SEEK_END) != 0) {
        perror(path);
        exit(EXIT_FAILURE);
    }
    *bytes = (size_t)ftell(file);
    rewind(file);
    void *content = malloc(*bytes + 1);
    if (content == NULL || fread(content, 1, *bytes, file) != *bytes) {
        perror(path);
        exit(EXIT_FAILURE);
    }
    fclose(file);
    return content;
}

int main(int count, char **arguments) {
    if (count != 7) {
        fprintf(stderr, "usage: %s BUNDLE BACKEND FILM WIDTH HEIGHT BITS\n", arguments[0]);
        return EXIT_FAILURE;
    }
    if (onemark_abi_version() != ONEMARK_ABI_VERSION) {
        fprintf(stderr, "the library is of ABI %" PRIu32 ", the header of %d\n", onemark_abi_version(), ONEMARK_ABI_VERSION);
        return EXIT_FAILURE;
    }

    /* Once: opening a bundle takes about a second. */
    OnemarkOptions options = {.size = sizeof options, .backend = arguments[2]};
    OnemarkDetector *detector;
    check(onemark_open(arguments[1], &options, &detector));

    /* For each film. Fields that are not set are 0, the usual value. */
    OnemarkFilm film = {.size = sizeof film, .spacing_x = 0.1, .spacing_y = 0.1};
    void *pixels = read_file(arguments[3], &film.bytes);
    film.pixels = pixels;
    film.width = (uint32_t)strtoul(arguments[4], NULL, 10);
    film.height = (uint32_t)strtoul(arguments[5], NULL, 10);
    film.bits = (uint32_t)strtoul(arguments[6], NULL, 10);
    film.stride = (size_t)film.width * (film.bits > 8 ? 2 : 1);
    OnemarkDetections *detections;
    check(onemark_detect(detector, &film, &detections));
    free(pixels);

    if (onemark_refusal(detections) != NULL) {
        fprintf(stderr, "no landmark counts as found: %s\n", onemark_refusal(detections));
    }
    for (size_t index = 0; index < onemark_landmark_count(detections); index++) {
        OnemarkLandmark landmark = {.size = sizeof landmark};
        check(onemark_landmark(detections, index, &landmark));
        if (landmark.found == ONEMARK_FOUND_NOT_FOUND) {
            printf("%s not found\n", landmark.name);
            continue;
        }
        /* 17 digits represent a double exactly. */
        printf("%s %.17g %.17g px %.17g %.17g mm %.17g\n", landmark.name, landmark.x_px, landmark.y_px, landmark.x_mm,
               landmark.y_mm, landmark.score);
    }

    onemark_detections_free(detections);
    onemark_close(detector);
    return EXIT_SUCCESS;
}
