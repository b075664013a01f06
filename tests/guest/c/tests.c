// What a program of the C library expects of the kernel beyond single calls: threads with variables of
// their own, cancellation, and the unwinder, which has to find its way through a signal's frame.
//
// One static program with subcommands, as Debian's cross compiler makes it; `guest-tests` (suite `glibc`)
// runs each. It says in which line it failed.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <semaphore.h>
#include <setjmp.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <unwind.h>

#define CHECK(condition)                                                       \
    do {                                                                       \
        if (!(condition)) {                                                    \
            printf("# %s:%d: %s\n", __FILE__, __LINE__, #condition);           \
            return 1;                                                          \
        }                                                                      \
    } while (0)

// Threads: a mutex, a condition, a barrier, and variables of their own.

#define THREADS 8
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static pthread_barrier_t barrier;
static __thread long own = 7;
static int turn, sum;

static void *take_turns(void *number) {
    long n = (long)number;
    own += n;
    pthread_barrier_wait(&barrier);
    for (int round = 0; round < 20; round++) {
        pthread_mutex_lock(&mutex);
        while (turn % THREADS != n)
            pthread_cond_wait(&changed, &mutex);
        turn++;
        sum += n;
        pthread_cond_broadcast(&changed);
        pthread_mutex_unlock(&mutex);
    }
    return (void *)own;
}

static int threads(void) {
    pthread_t all[THREADS];
    CHECK(pthread_barrier_init(&barrier, NULL, THREADS) == 0);
    for (long n = 0; n < THREADS; n++)
        CHECK(pthread_create(&all[n], NULL, take_turns, (void *)n) == 0);
    for (long n = 0; n < THREADS; n++) {
        void *result;
        CHECK(pthread_join(all[n], &result) == 0);
        CHECK((long)result == 7 + n);
    }
    CHECK(turn == 20 * THREADS && sum == 20 * 28 && own == 7);
    return 0;
}

// Cancellation: the waiting call ends, and the unwinder calls what was pushed.

static int ends[2];
static volatile int cleaned;

static void clean(void *more) { cleaned += *(int *)more; }

static void *wait_for_input(void *unused) {
    int five = 5;
    char byte;
    pthread_cleanup_push(clean, &five);
    read(ends[0], &byte, 1);
    pthread_cleanup_pop(0);
    return unused;
}

static int cancellation(void) {
    pthread_t thread;
    void *result;
    CHECK(pipe(ends) == 0);
    for (int round = 1; round <= 3; round++) {
        CHECK(pthread_create(&thread, NULL, wait_for_input, NULL) == 0);
        usleep(round * 1000);
        CHECK(pthread_cancel(thread) == 0);
        CHECK(pthread_join(thread, &result) == 0);
        CHECK(result == PTHREAD_CANCELED && cleaned == 5 * round);
    }
    return 0;
}

// The unwinder: from a handler through the signal's frame to whoever was interrupted.

static volatile int seen;
static void *wanted;

static _Unwind_Reason_Code look(struct _Unwind_Context *context, void *depth) {
    if (_Unwind_FindEnclosingFunction((void *)_Unwind_GetIP(context)) == wanted)
        seen++;
    return ++*(int *)depth > 50 ? _URC_NORMAL_STOP : _URC_NO_REASON;
}

static void walk(int signal) {
    int depth = 0;
    (void)signal;
    _Unwind_Backtrace(look, &depth);
}

__attribute__((noinline)) static int interrupted(void) {
    int good = raise(SIGUSR1) == 0;
    // Not in tail position: it is to be on the stack.
    __asm__ volatile("" : : : "memory");
    return good;
}

static int unwinding(void) {
    struct sigaction action = {.sa_handler = walk};
    wanted = _Unwind_FindEnclosingFunction((char *)interrupted + 1);
    CHECK(wanted != NULL);
    for (int flags = 0; flags < 2; flags++) {
        // With SA_SIGINFO the frame is another one on some machines.
        action.sa_flags = flags ? SA_SIGINFO : 0;
        CHECK(sigaction(SIGUSR1, &action, NULL) == 0);
        CHECK(interrupted());
        CHECK(seen == flags + 1);
    }
    return 0;
}

// Jumps out of handlers.

static sigjmp_buf back;

static void jump(int signal) { siglongjmp(back, signal); }

static int jumps(void) {
    struct sigaction action = {.sa_handler = jump};
    char *nothing = mmap(NULL, 1 << 16, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(nothing != MAP_FAILED && sigaction(SIGSEGV, &action, NULL) == 0);
    // The mask comes back with the jump, else the second fault would end it.
    for (volatile int round = 0; round < 3; round++) {
        int signal = sigsetjmp(back, 1);
        if (signal == 0)
            *(volatile char *)nothing = 1;
        CHECK(signal == SIGSEGV);
    }
    return 0;
}

// Streams, the heap, time, numbers.

static int compare(const void *a, const void *b) { return *(const int *)a - *(const int *)b; }

static int library(void) {
    char *line = NULL, text[64], name[] = "/tmp/c-tests.XXXXXX";
    size_t size = 0;
    int fd = mkstemp(name), numbers[1000];
    FILE *file = fdopen(fd, "w+");
    CHECK(fd >= 0 && file && unlink(name) == 0);
    for (int i = 0; i < 1000; i++)
        CHECK(fprintf(file, "%d %.3f\n", (i * 7919) % 1000, i / 8.0) > 0);
    rewind(file);
    for (int i = 0; i < 1000; i++) {
        double real;
        CHECK(getline(&line, &size, file) > 0);
        CHECK(sscanf(line, "%d %lf", &numbers[i], &real) == 2 && real > i / 8.0 - 0.001);
    }
    CHECK(getline(&line, &size, file) == -1 && feof(file) && fclose(file) == 0);
    qsort(numbers, 1000, sizeof *numbers, compare);
    for (int i = 0; i < 1000; i++)
        CHECK(numbers[i] == i);
    for (size_t bytes = 1; bytes < 1 << 22; bytes *= 3) {
        char *memory = malloc(bytes);
        CHECK(memory);
        memset(memory, 1, bytes);
        memory = realloc(memory, 2 * bytes);
        CHECK(memory && memory[bytes - 1] == 1);
        free(memory);
    }
    free(line);
    time_t moment = 1000000000;
    CHECK(strftime(text, sizeof text, "%Y-%m-%d %H:%M:%S", gmtime(&moment)) == 19);
    CHECK(strcmp(text, "2001-09-09 01:46:40") == 0);
    return 0;
}

// Other processes: a shell behind a pipe, a spawned program, a semaphore in shared memory.

static int processes(void) {
    char text[64];
    FILE *shell = popen("echo one; echo two", "r");
    CHECK(shell && fgets(text, sizeof text, shell) && strcmp(text, "one\n") == 0);
    CHECK(fgets(text, sizeof text, shell) && strcmp(text, "two\n") == 0);
    CHECK(pclose(shell) == 0);
    CHECK(WEXITSTATUS(system("exit 3")) == 3);

    pid_t pid;
    int status;
    char *words[] = {"sh", "-c", "exit 4", NULL};
    CHECK(posix_spawn(&pid, "/bin/sh", NULL, NULL, words, environ) == 0);
    CHECK(waitpid(pid, &status, 0) == pid && WEXITSTATUS(status) == 4);
    CHECK(posix_spawn(&pid, "/bin/nothing", NULL, NULL, words, environ) == ENOENT);

    int fd = shm_open("/c-tests", O_RDWR | O_CREAT | O_EXCL, 0600);
    CHECK(fd >= 0 && shm_unlink("/c-tests") == 0 && ftruncate(fd, sizeof(sem_t)) == 0);
    sem_t *semaphore = mmap(NULL, sizeof(sem_t), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    CHECK(semaphore != MAP_FAILED && sem_init(semaphore, 1, 0) == 0);
    if ((pid = fork()) == 0) {
        usleep(1000);
        _exit(sem_post(semaphore) == 0 ? 0 : 1);
    }
    CHECK(pid > 0 && sem_wait(semaphore) == 0);
    CHECK(waitpid(pid, &status, 0) == pid && status == 0);
    return 0;
}

static const struct {
    const char *name;
    int (*run)(void);
} tests[] = {
    {"threads", threads}, {"cancellation", cancellation}, {"unwinding", unwinding},
    {"jumps", jumps},     {"library", library},           {"processes", processes},
};

int main(int count, char **words) {
    for (size_t i = 0; i < sizeof tests / sizeof *tests; i++)
        if (count == 2 && strcmp(words[1], tests[i].name) == 0)
            return tests[i].run();
    printf("# c-tests NAME\n");
    return 2;
}
