/* Every misuse is refused with the right status and a message that names it. */

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "onemark.h"

static void refused(int line, OnemarkStatus expected, OnemarkStatus status, const char *says) {
    if (status != expected || strstr(onemark_last_error(), says) == NULL) {
        fprintf(stderr, "line %d: status %d instead of %d, \"%s\"\n", line, status, expected, onemark_last_error());
        exit(EXIT_FAILURE);
    }
}
#define REFUSED(status, call, says) refused(__LINE__, status, call, says)

static void must(int line, int holds) {
    if (!holds) {
        fprintf(stderr, "line %d does not hold; last error: \"%s\"\n", line, onemark_last_error());
        exit(EXIT_FAILURE);
    }
}
#define MUST(condition) must(__LINE__, condition)

int main(int count, char **arguments) {
    MUST(count == 2);
    const char *bundle = arguments[1];
    MUST(strcmp(onemark_last_error(), "") == 0);

    OnemarkDetector *detector = (OnemarkDetector *)&count;
    OnemarkOptions options = {.size = sizeof options, .backend = "tract", .threads = 1};
    REFUSED(ONEMARK_STATUS_ARGUMENT, onemark_open(NULL, &options, &detector), "bundle is NULL");
    MUST(detector == NULL);
    REFUSED(ONEMARK_STATUS_ARGUMENT, onemark_open(bundle, &options, NULL), "detector is NULL");
    REFUSED(ONEMARK_STATUS_ARGUMENT, onemark_open("\xff.onemark", &options, &detector), "bundle is not UTF-8");
    REFUSED(ONEMARK_STATUS_BUNDLE, onemark_open("nowhere.onemark", &options, &detector), "nowhere.onemark");
    OnemarkOptions wrong = options;
    wrong.size = 0;
    REFUSED(ONEMARK_STATUS_ARGUMENT, onemark_open(bundle, &wrong, &detector), "OnemarkOptions.size is 0");
    wrong = options;
    wrong.backend = "tracd";
    REFUSED(ONEMARK_STATUS_ARGUMENT, onemark_open(bundle, &wrong, &detector), "did you mean `tract`?");
    wrong = options;
    wrong.decoding = "argmin";
    REFUSED(ONEMARK_STATUS_ARGUMENT, onemark_open(bundle, &wrong, &detector), "did you mean `argmax`?");
    MUST(onemark_open(bundle, &options, &detector) == ONEMARK_STATUS_OK);

    static unsigned char pixels[40 * 50];
    for (size_t index = 0; index < sizeof pixels; index++) {
        pixels[index] = (unsigned char)(index * index / 7);
    }
    OnemarkFilm good = {.size = sizeof good, .pixels = pixels, .bytes = sizeof pixels, .stride = 50};
    good.width = 50;
    good.height = 40;
    good.bits = 8;
    OnemarkDetections *detections = (OnemarkDetections *)&count;
    REFUSED(ONEMARK_STATUS_ARGUMENT, onemark_detect(NULL, &good, &detections), "detector is NULL");
    MUST(detections == NULL);
    REFUSED(ONEMARK_STATUS_ARGUMENT, onemark_detect(detector, NULL, &detections), "film is NULL");
    REFUSED(ONEMARK_STATUS_ARGUMENT, onemark_detect(detector, &good, NULL), "detections is NULL");
    OnemarkFilm bad = good;
    bad.size = 8;
    REFUSED(ONEMARK_STATUS_ARGUMENT, onemark_detect(detector, &bad, &detections), "OnemarkFilm.size is 8");
    bad = good;
    bad.pixels = NULL;
    REFUSED(ONEMARK_STATUS_ARGUMENT, onemark_detect(detector, &bad, &detections), "OnemarkFilm.pixels is NULL");
    bad = good;
    bad.bytes = SIZE_MAX;
    REFUSED(ONEMARK_STATUS_ARGUMENT, onemark_detect(detector, &bad, &detections), "OnemarkFilm.bytes");
    bad = good;
    bad.height = 41;
    REFUSED(ONEMARK_STATUS_FILM, onemark_detect(detector, &bad, &detections), "2000 bytes are too few");
    bad = good;
    bad.stride = 49;
    REFUSED(ONEMARK_STATUS_FILM, onemark_detect(detector, &bad, &detections), "a stride of 49 bytes");
    bad = good;
    bad.bits = 32;
    REFUSED(ONEMARK_STATUS_FILM, onemark_detect(detector, &bad, &detections), "32 bits");
    bad = good;
    bad.spacing_x = 0.1;
    REFUSED(ONEMARK_STATUS_FILM, onemark_detect(detector, &bad, &detections), "a spacing of 0.1 x 0 mm");
    bad = good;
    bad.window_width = -1;
    REFUSED(ONEMARK_STATUS_FILM, onemark_detect(detector, &bad, &detections), "a window of -1 values");
    REFUSED(ONEMARK_STATUS_ARGUMENT, onemark_detect_file(detector, NULL, 0, 0, &detections), "path is NULL");
    REFUSED(ONEMARK_STATUS_FILM, onemark_detect_file(detector, "nowhere.png", 0, 0, &detections), "nowhere.png");

    MUST(onemark_detect(detector, &good, &detections) == ONEMARK_STATUS_OK);
    MUST(onemark_landmark_count(detections) == 19);
    MUST(strstr(onemark_json(detections), "\"sella\"") != NULL);
    OnemarkLandmark landmark = {.size = sizeof landmark};
    REFUSED(ONEMARK_STATUS_ARGUMENT, onemark_landmark(NULL, 0, &landmark), "detections is NULL");
    REFUSED(ONEMARK_STATUS_ARGUMENT, onemark_landmark(detections, 0, NULL), "landmark is NULL");
    REFUSED(ONEMARK_STATUS_ARGUMENT, onemark_landmark(detections, 19, &landmark), "no landmark at index 19");
    landmark.size = 0;
    REFUSED(ONEMARK_STATUS_ARGUMENT, onemark_landmark(detections, 0, &landmark), "OnemarkLandmark.size is 0");
    landmark.size = sizeof landmark;
    MUST(onemark_landmark(detections, 0, &landmark) == ONEMARK_STATUS_OK);
    MUST(landmark.number == 1 && strcmp(landmark.name, "sella") == 0 && strcmp(landmark.title, "Sella") == 0);
    MUST(landmark.found == ONEMARK_FOUND_FOUND && isfinite(landmark.x_px) && isfinite(landmark.y_px));
    /* No spacing is stated, and the bundle is not calibrated. */
    MUST(isnan(landmark.x_mm) && isnan(landmark.y_mm) && isnan(landmark.confidence) && isnan(landmark.radius_mm));

    /* Nobody states a spacing, so nothing is said of it. With micrometres for mm, the film is as large as a house. */
    MUST(onemark_warning_count(detections) == 0 && onemark_warning(detections, 0) == NULL);
    OnemarkDetections *warned;
    bad = good;
    bad.spacing_x = bad.spacing_y = 600;
    MUST(onemark_detect(detector, &bad, &warned) == ONEMARK_STATUS_OK && onemark_warning_count(warned) == 1);
    MUST(strstr(onemark_warning(warned, 0), "radiographs have sides of 20 to 2000 mm") != NULL);
    MUST(strstr(onemark_warning(warned, 0), "600 x 600 mm per px by the calling program") != NULL);
    MUST(strstr(onemark_json(warned), "\"warnings\":[\"600 x 600 mm") != NULL);
    onemark_detections_free(warned);

    /* A film that is all one grey is refused as a whole. */
    MUST(onemark_refusal(detections) == NULL);
    uint8_t grey[64 * 64] = {0};
    OnemarkFilm plain = {.size = sizeof plain, .pixels = grey, .bytes = sizeof grey, .stride = 64, .width = 64, .height = 64, .bits = 8};
    OnemarkDetections *refused_film;
    MUST(onemark_detect(detector, &plain, &refused_film) == ONEMARK_STATUS_OK && onemark_refusal(refused_film) != NULL);
    MUST(onemark_landmark(refused_film, 0, &landmark) == ONEMARK_STATUS_OK && landmark.found == ONEMARK_FOUND_NOT_FOUND);
    onemark_detections_free(refused_film);

    MUST(onemark_landmark_count(NULL) == 0 && onemark_json(NULL) == NULL);
    MUST(onemark_warning_count(NULL) == 0 && onemark_warning(NULL, 0) == NULL);
    MUST(onemark_refusal(NULL) == NULL);
    onemark_detections_free(NULL);
    onemark_detections_free(detections);
    onemark_close(NULL);
    onemark_close(detector);
    puts("all refused");
    return EXIT_SUCCESS;
}
