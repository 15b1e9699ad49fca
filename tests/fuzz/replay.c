/* SPDX-License-Identifier: MIT */
/* Runs a target over files and the files of directories: libFuzzer's part in builds that have no libFuzzer. */
#include <dirent.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "tests/fuzz/fuzz.h"

static unsigned files;

static void run_file(const char *path) {
    FILE *in = fopen(path, "rb");
    FLK_ASSERT(in != NULL);
    struct stat info;
    FLK_ASSERT(fstat(fileno(in), &info) == 0);
    size_t bytes = (size_t)info.st_size;
    uint8_t *data = malloc(bytes + 1); /* of its own size: the address sanitizer sees a read behind it */
    FLK_ASSERT(data != NULL && fread(data, 1, bytes, in) == bytes);
    fclose(in);
    data = realloc(data, bytes == 0 ? 1 : bytes);
    LLVMFuzzerTestOneInput(data, bytes);
    free(data);
    files++;
}

static void run_directory(const char *path, DIR *dir) {
    struct dirent *entry;
    while ((entry = readdir(dir)) != NULL) {
        char file[4096];
        if (entry->d_name[0] != '.') {
            snprintf(file, sizeof file, "%s/%s", path, entry->d_name);
            run_file(file);
        }
    }
}

int main(int argc, char **argv) {
    for (int i = 1; i < argc; i++) {
        DIR *dir = opendir(argv[i]);
        if (dir == NULL) {
            run_file(argv[i]);
        } else {
            run_directory(argv[i], dir);
            closedir(dir);
        }
    }
    printf("%u inputs\n", files);
    return files > 0 ? 0 : 1; /* a run over nothing shows nothing */
}
