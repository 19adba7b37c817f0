document.title = "Millrace";
