// What Glibc's Swift module does not export.
#ifndef MILLRACE_CLINUX_H
#define MILLRACE_CLINUX_H

// eventfd(2): non-blocking, close-on-exec, with count 0; -1 and errno on failure.
int clinux_eventfd(void);

// posix_spawn_file_actions_addclosefrom_np(3) for a posix_spawn_file_actions_t: 0, or an error number.
int clinux_spawn_close_from(void *actions, int lowest);

// pthread_setname_np(3) for the calling thread. Linux keeps the first 15 bytes.
void clinux_name_thread(const char *name);

#endif
