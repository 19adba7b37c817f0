// eventfd(2) for Swift: the Glibc module does not export it.
#ifndef MILLRACE_CWAKEUP_H
#define MILLRACE_CWAKEUP_H

// A non-blocking, close-on-exec eventfd with count 0; -1 and errno on failure.
int cwakeup_eventfd(void);

#endif
