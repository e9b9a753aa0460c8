// Sends the page's requests to the program that served it, which has already opened the bundle and the films.

export const request = (path, options) => fetch(path, options);
export const open = null;
