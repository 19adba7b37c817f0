#include "cwakeup.h"

#include <sys/eventfd.h>

int cwakeup_eventfd(void) { return eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK); }
