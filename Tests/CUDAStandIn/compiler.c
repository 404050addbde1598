#include "state.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// The compiler's programs; what it makes of them is their text behind a line of their options.
typedef struct {
    char *name, *text, *code;
} program;

static char *compilations[most_records];
static int compilation_count;

void stand_in_forget_compiler(void) {
    for (int i = 0; i < compilation_count; i++) free(compilations[i]);
    compilation_count = 0;
}

int stand_in_compilation_count(void) { return compilation_count; }
const char *stand_in_compilation(int index) { return compilations[index]; }

static int version(int *major, int *minor) {
    ENTER("compiler.version");
    *major = 13;
    *minor = 0;
    return 0;
}

static int create(void **result, const char *source, const char *name, int headers, const char *const *texts,
                  const char *const *names) {
    (void)headers, (void)texts, (void)names;
    ENTER("compiler.create");
    program *made = calloc(1, sizeof *made);
    made->name = strdup(name);
    made->text = strdup(source);
    *result = made;
    return 0;
}

static int destroy(void **pointer) {
    ENTER("compiler.destroy");
    program *gone = *pointer;
    free(gone->name);
    free(gone->text);
    free(gone->code);
    free(gone);
    *pointer = 0;
    return 0;
}

static int compile(void *pointer, int count, const char *const *options) {
    ENTER("compiler.compile");
    program *made = pointer;
    size_t length = strlen(made->name) + 1;
    for (int i = 0; i < count; i++) length += strlen(options[i]) + 1;
    char *line = malloc(length);
    strcpy(line, made->name);
    for (int i = 0; i < count; i++) strcat(strcat(line, " "), options[i]);
    if (compilation_count == most_records) abort();
    compilations[compilation_count++] = line;
    made->code = malloc(length + strlen(made->text) + 2);
    sprintf(made->code, "%s\n%s", line, made->text);
    return 0;
}

static int code_size(void *pointer, size_t *size) {
    ENTER("compiler.code_size");
    *size = strlen(((program *)pointer)->code) + 1;
    return 0;
}

static int code(void *pointer, char *target) {
    ENTER("compiler.code");
    strcpy(target, ((program *)pointer)->code);
    return 0;
}

static const char *const complaint = "rows.cu(7): error: a semicolon is missing";

static int log_size(void *pointer, size_t *size) {
    (void)pointer;
    ENTER("compiler.log_size");
    *size = strlen(complaint) + 1;
    return 0;
}

static int log_text(void *pointer, char *target) {
    (void)pointer;
    ENTER("compiler.log");
    strcpy(target, complaint);
    return 0;
}

static const char *error_text(int error) {
    (void)error;
    return "an error of the stand-in's compiler";
}

vireo_compiler stand_in_compiler(void) {
    return (vireo_compiler){version, create, destroy, compile, code_size, code, log_size, log_text, error_text};
}
