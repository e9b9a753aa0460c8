/* Prints what C is told of a film's spacing: the JSON of its results, then each warning in a line of its own.
 *
 * usage: spacing BUNDLE FILM X Y */

#include <stdio.h>
#include <stdlib.h>

#include "onemark.h"

static void check(OnemarkStatus status) {
    if (status != ONEMARK_STATUS_OK) {
        fprintf(stderr, "error %d: %s\n", (int)status, onemark_last_error());
        exit(EXIT_FAILURE);
    }
}

int main(int count, char **arguments) {
    if (count != 5) {
        fprintf(stderr, "usage: %s BUNDLE FILM X Y\n", arguments[0]);
        return EXIT_FAILURE;
    }
    OnemarkOptions options = {.size = sizeof options, .backend = "tract"};
    OnemarkDetector *detector;
    check(onemark_open(arguments[1], &options, &detector));
    OnemarkDetections *detections;
    check(onemark_detect_file(detector, arguments[2], atof(arguments[3]), atof(arguments[4]), &detections));
    puts(onemark_json(detections));
    for (size_t index = 0; index < onemark_warning_count(detections); index++) {
        puts(onemark_warning(detections, index));
    }
    onemark_detections_free(detections);
    onemark_close(detector);
    return EXIT_SUCCESS;
}
